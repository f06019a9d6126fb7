//! A start while the database is away.

use std::time::{Duration, Instant};

use chassis::testing::Service;

use crate::{
    postgres::Postgres,
    service::{keyed, name, on, settings},
};

#[tokio::test]
async fn a_replica_waits_for_its_database_and_is_ready_within_two_seconds_of_its_return() {
    let postgres = Postgres::start();
    let name = name();
    let url = postgres.database(&name).await;
    postgres.lose();

    let started = Service::start_unready(links::SERVICE, links::router, settings(&url, &[])).await;
    let service = started.unwrap_or_else(|error| panic!("{error}"));
    service.wait_for_log("not ready yet: database failed").await;
    let waiting = service.wait_for_probe("/startupz", 503).await;
    assert!(waiting.body.contains("[-]database failed"), "{}", waiting.body);
    assert_eq!(service.probe("/livez").await.status, 200);

    postgres.resume();
    let returned = Instant::now();
    service.wait_for_probe("/readyz", 200).await;
    let took = returned.elapsed();
    println!("ready {took:?} after the database's return");
    assert!(took < Duration::from_secs(2), "ready only {took:?} after the database's return");
    assert_eq!(keyed(service.get("/v1/links")).await.status, 200);
}

#[tokio::test]
async fn a_replica_whose_database_stays_away_ends_with_code_one_and_the_reason() {
    let nobody = tempfile::tempdir().expect("a temporary directory");
    let socket = format!("postgres://links@localhost/links?host={}", nobody.path().display());
    for (url, reason) in
        [(&*socket, "No such file or directory"), ("postgres://links@127.0.0.1:1/links", "Connection refused")]
    {
        let settings = settings(url, &[("APP__LIFECYCLE__START_TIMEOUT", "500ms")]);
        let error = Service::start(links::SERVICE, links::router, settings).await.expect_err("there is no database");
        println!("{error}");
        for part in ["waiting for database", reason] {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
    }
}

#[tokio::test]
async fn replicas_that_start_together_migrate_once() {
    let postgres = Postgres::shared();
    let url = postgres.database(&name()).await;
    let (one, two, three) = tokio::join!(on(&url, &[]), on(&url, &[]), on(&url, &[]));
    for service in [one, two, three] {
        assert_eq!(keyed(service.get("/v1/links")).await.status, 200);
    }
}

#[test]
fn a_description_needs_no_database() {
    let described = links::SERVICE.openapi(links::router).expect("a description");
    assert_eq!(described["info"]["title"], "Short links");
}
