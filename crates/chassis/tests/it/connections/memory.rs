//! What an idle connection costs, and that the memory of many goes back.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::harness::{eventually, exclusive, http::Connection, server::Server};

const NUMBER: u32 = 10_000;

/// Both ends are on this machine, each with its own limit of open files; the server inherits ours.
#[tokio::test]
async fn ten_thousand_idle_connections_fit_into_memory() {
    let _turn = exclusive().await;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    assert!(hard > u64::from(NUMBER) + 200, "at most {hard} open files: raise `ulimit -Hn`");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let server = Server::start(&[("APP__SERVER__MAX_CONNECTIONS", "10100")]).await;
    let before = server.resident_kib();

    let mut idle = Vec::new();
    for _ in 0..NUMBER {
        let mut connection = Connection::open(server.app).await.unwrap();
        assert_eq!(connection.get("/whoami").await.unwrap().status, 200);
        idle.push(connection);
    }
    server.metric_becomes("http_server_connections", f64::from(NUMBER), Duration::from_secs(5)).await;

    let after = server.resident_kib();
    let each = (after - before) * 1024 / u64::from(NUMBER);
    println!("{NUMBER} idle connections: {before} KiB before, {after} KiB after, {each} B each");
    assert!(each < 64 * 1024, "{each} B each");
    // None was given up for another.
    assert!((server.metric("http_server_connections").await - f64::from(NUMBER)).abs() < 0.5);

    drop(idle);
    server.metric_becomes("http_server_connections", 0.0, Duration::from_secs(20)).await;
    // Once the CPU is not needed, which on a busy machine takes a while.
    eventually("the memory of the peak is given back", Duration::from_mins(1), async || {
        (server.resident_kib() < before + 5 * 1024).then_some(())
    })
    .await;
    println!("{} KiB after the peak", server.resident_kib());
}
