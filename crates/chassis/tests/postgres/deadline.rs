//! A statement ends with its request, and no later than its deadline.

use std::time::Instant;

use chassis::testing::Service;
use serde_json::Value;
use sqlx::PgConnection;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    server::Postgres,
    service::{connect, database, start, statements},
};

const SLEEPS: &str = "SELECT pg_sleep%";
/// One connection, and a bound that is no statement's end within the test.
const LONG: [(&str, &str); 4] = [
    ("APP__APP__DATABASE__MAX_CONNECTIONS", "1"),
    ("APP__APP__DATABASE__STATEMENT_TIMEOUT", "10m"),
    ("APP__SERVER__REQUEST_TIMEOUT", "10m"),
    ("APP__LIFECYCLE__DRAIN_TIMEOUT", "10m"),
];

/// The service, and a connection to its database.
async fn with_database(postgres: &Postgres, more: &[(&str, &str)]) -> (Service, PgConnection) {
    let url = database(postgres).await;
    let service = start(&url, more).await;
    (service, connect(postgres, &url).await)
}

#[tokio::test]
async fn a_statement_timeout_ends_a_slow_query_at_its_requests_deadline() {
    let postgres = Postgres::start();
    let (service, mut database) = with_database(&postgres, &LONG).await;
    let before = service.get("/connection").await;
    let begun = Instant::now();
    let answer = service.get("/short?ms=600000").await;
    println!("answered after {:?}, where the route grants 500 ms", begun.elapsed());
    assert_eq!(answer.status, 504, "{answer:?}");
    assert_eq!(answer.json::<Value>()["code"], "deadline_exceeded");
    service.wait_for_log("a statement took too long").await;
    assert!(postgres.said().contains("canceling statement due to statement timeout"), "{}", postgres.said());
    statements(&mut database, SLEEPS, 0).await;
    // Its connection goes on.
    assert_eq!(service.get("/connection").await.body, before.body);
}

#[tokio::test]
async fn a_statement_of_a_client_that_has_left_is_ended_by_the_server() {
    let postgres = Postgres::start();
    let (service, mut database) = with_database(&postgres, &LONG).await;
    let mut client = TcpStream::connect(service.app()).await.expect("it listens");
    client.write_all(b"GET /sleep?ms=600000 HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("it reads");
    statements(&mut database, SLEEPS, 1).await;
    // A reset: a client that only ends its side is served on.
    client.set_zero_linger().expect("a socket");
    drop(client);
    let begun = Instant::now();
    statements(&mut database, SLEEPS, 0).await;
    println!("the statement ended {:?} after its client left", begun.elapsed());
    assert!(postgres.said().contains("connection to client lost"), "{}", postgres.said());
    // The only place in the pool is free again.
    assert_eq!(service.get("/connection").await.status, 200);
}

#[tokio::test]
async fn a_bound_ends_with_its_request() {
    let postgres = Postgres::shared();
    let (service, _database) = with_database(&postgres, &LONG).await;
    // Bounded to less than 500 ms, and given back.
    assert_eq!(service.get("/short?ms=1").await.status, 200);
    assert_eq!(service.get("/sleep?ms=700").await.status, 200);
    assert_eq!(service.get("/raw").await.status, 200);
}

#[tokio::test]
async fn a_transaction_that_is_dropped_leaves_nothing() {
    let postgres = Postgres::shared();
    let (service, _database) = with_database(&postgres, &LONG).await;
    let answer = service.get("/transaction").await;
    assert_eq!((answer.status, &*answer.body), (200, "1 0"), "{answer:?}");
}
