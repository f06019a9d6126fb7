//! A start with real resources: what it waits for, how long, and what it says meanwhile.

use std::{net::TcpListener, time::Duration};

use nix::sys::signal::Signal;

use crate::harness::{free_port, local, server, server::Server, shared, tools, within};

/// Above what a busy machine needs, and below what would hide a hang.
const BOUND: Duration = Duration::from_secs(10);

/// The address of a database that is away.
fn away() -> String {
    local(free_port()).to_string()
}

#[tokio::test]
async fn a_replica_waits_for_its_database_and_is_ready_within_two_seconds_of_its_return() {
    let _turn = shared().await;
    let address = away();
    let mut server = Server::start_example_unready("resources", &[("APP__APP__DATABASE", &address)]).await;
    server.logs("not ready yet: database failed; it is retried").await;
    let waiting = server.admin("/startupz").await;
    assert_eq!(waiting.status, 503);
    let text = waiting.text();
    assert!(text.contains("[-]startup failed") && text.contains("[-]database failed"), "{text}");
    assert_eq!(server.probe("/livez").await, Some(200));
    assert_eq!(server.probe("/readyz").await, Some(503));

    let _database = TcpListener::bind(&address).expect("the database's address");
    let ready = within(Duration::from_secs(2), async || (server.probe("/readyz").await == Some(200)).then_some(()));
    assert!(ready.await.is_some(), "not ready within 2 s; its log:\n{}", server.log());
    assert_eq!(server.probe("/startupz").await, Some(200));
    assert_eq!(server.get("/hello").await.status, 200);
    server.logs("database succeeded").await;
    let log = server.log();
    assert_eq!(log.matches("not ready yet").count(), 1, "one reason is one line:\n{log}");
    assert!(log.contains("Connection refused"), "{log}");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit(BOUND).await, 0);
}

#[tokio::test]
async fn a_start_that_takes_too_long_ends_with_code_one_and_the_reason() {
    let _turn = shared().await;
    let address = away();
    for (settings, reasons) in [
        (("APP__APP__DATABASE", &*address), ["waiting for database", "Connection refused"]),
        (("APP__APP__START", "waits"), ["starting the app", "lifecycle.start_timeout (300ms)"]),
        (("APP__APP__START", "blocks"), ["starting the app", "lifecycle.start_timeout (300ms)"]),
        (("APP__APP__START", "fails"), ["starting the app", "the table is gone"]),
        (("APP__APP__START", "panics"), ["starting the app", "it panicked"]),
    ] {
        let mut command = server::command(&server::example("resources"), &server::SETTINGS);
        command.env("APP__LIFECYCLE__START_TIMEOUT", "300ms").env(settings.0, settings.1);
        let ended = tools::output(command, "", BOUND).await;
        assert_eq!(ended.code, 1, "{settings:?}: {}", ended.text);
        let line = ended.text.lines().find(|line| line.contains("cannot start")).unwrap_or_default();
        assert!(reasons.iter().all(|reason| line.contains(reason)), "{settings:?}: {}", ended.text);
    }
}

/// A blocking migration or import keeps a thread of its own.
#[tokio::test]
async fn probes_and_signals_are_answered_while_the_app_starts() {
    let _turn = shared().await;
    for start in ["waits", "blocks"] {
        let mut server = Server::start_example_unready("resources", &[("APP__APP__START", start)]).await;
        assert_eq!(server.probe("/startupz").await, Some(503), "{start}");
        assert_eq!(server.probe("/livez").await, Some(200), "{start}");
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait_exit(BOUND).await, 0, "{start}: {}", server.log());
        server.logs("stop signal received before serving").await;
    }
}

#[tokio::test]
async fn a_stop_signal_ends_the_wait_for_a_database() {
    let _turn = shared().await;
    let mut server = Server::start_example_unready("resources", &[("APP__APP__DATABASE", &away())]).await;
    server.logs("not ready yet").await;
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit(BOUND).await, 0, "{}", server.log());
}

#[tokio::test]
async fn a_description_needs_no_database() {
    let _turn = shared().await;
    let mut command = server::command(&server::example("resources"), &[("APP__APP__DATABASE", &away())]);
    command.arg("openapi");
    let described = tools::output(command, "", BOUND).await;
    assert_eq!(described.code, 0, "{}", described.text);
    assert!(described.text.contains("/hello"), "{}", described.text);
}

#[tokio::test]
async fn a_port_in_use_is_a_runtime_failure_that_names_key_and_address() {
    let _turn = shared().await;
    let taken = TcpListener::bind("127.0.0.1:0").expect("binding any port");
    let address = taken.local_addr().expect("a bound address").to_string();
    let cases = [
        ("APP__SERVER__LISTEN", format!("http://{address}"), "server.listen"),
        ("APP__ADMIN__LISTEN", address.clone(), "admin.listen"),
    ];
    for (variable, value, key) in cases {
        let refused = server::run_to_exit(&[], &[(variable, &value)]).await;
        assert_eq!(refused.code, 1, "{variable}: {}", refused.text);
        for part in [key, address.as_str()] {
            assert!(refused.text.contains(part), "{variable}: no {part} in: {}", refused.text);
        }
    }
}
