//! A column is renamed by expand and contract, forth and back, under load: `docs/postgres.md` has the steps.

use chassis::testing::{Load, Service};

use crate::{
    server::Postgres,
    service::{database, migrate, started},
};

/// Release by release to the new column, back while the old one is there, and back once more when it is gone.
const RELEASES: [&str; 7] = ["2", "3", "2", "3", "4", "3", "4"];
const CLIENTS: usize = 4;

#[tokio::test]
async fn an_expand_and_contract_change_is_rolled_out_and_back_with_no_request_lost() {
    let postgres = Postgres::shared();
    let url = database(&postgres).await;
    migrate(&url, "1");
    let (mut old, mut answered) = (replica(&url, "1").await, 0);
    for release in RELEASES {
        // What the old release serves while the schema changes below it.
        let load = Load::start(old.app(), "/visit", CLIENTS);
        load.answers(50);
        migrate(&url, release);
        let new = replica(&url, release).await;
        let beside = Load::start(new.app(), "/visit", CLIENTS);
        load.answers(50);
        beside.answers(50);
        old.drain();
        assert_eq!(old.exit_code().await, 0, "{}", old.log());
        answered += none_lost(load, release);
        new.drain();
        assert_eq!(new.exit_code().await, 0, "{}", new.log());
        answered += none_lost(beside, release);
        old = replica(&url, release).await;
    }
    println!("{answered} requests answered in {} rollouts, none lost", RELEASES.len());
}

async fn replica(url: &str, release: &str) -> Service {
    // A balancer would take it out meanwhile.
    let settings = [("APP__APP__RELEASE", release), ("APP__LIFECYCLE__DRAIN_DELAY", "500ms")];
    started(url, &settings).await.unwrap_or_else(|error| panic!("release {release}: {error}"))
}

fn none_lost(load: Load, release: &str) -> u64 {
    let tally = load.tally();
    assert_eq!((tally.failed, tally.lost), (0, 0), "to release {release}: {tally:?}");
    tally.answered
}
