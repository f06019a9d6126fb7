//! The number of connections: what happens at the cap, and at the limit of open files.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{closed, closes};
use crate::harness::{
    at, eventually,
    http::{self, Connection, Failure},
    peers,
    server::Server,
    shared, within,
};

const CAP: [(&str, &str); 1] = [("APP__SERVER__MAX_CONNECTIONS", "8")];
const SECOND: Duration = Duration::from_secs(1);

async fn open(server: &Server) -> Connection {
    Connection::open(server.app).await.expect("connecting")
}

async fn idle(server: &Server) -> Connection {
    let mut connection = open(server).await;
    assert_eq!(connection.get("/hello").await.unwrap().status, 200);
    connection
}

/// Connections whose requests are at work for `ms` from now.
async fn busy(server: &Server, number: u32, ms: u32) -> Vec<Connection> {
    let mut connections = Vec::new();
    for _ in 0..number {
        let mut connection = open(server).await;
        connection.send(format!("GET /slow?ms={ms} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await.unwrap();
        connections.push(connection);
    }
    server.metric_becomes("http_server_active_requests", f64::from(number), 5 * SECOND).await;
    connections
}

#[tokio::test]
async fn at_the_cap_the_longest_idle_connection_yields_and_busy_ones_do_not() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &CAP).await;
    let mut oldest = idle(&server).await;
    let mut newest = idle(&server).await;
    let mut busy = busy(&server, 6, 1500).await;

    let mut new = open(&server).await;
    assert_eq!(new.get("/hello").await.unwrap().status, 200);

    assert!(oldest.ended_within(SECOND).await.is_some(), "the longest-idle connection has not yielded");
    assert_eq!(newest.get("/hello").await.unwrap().status, 200);
    for connection in &mut busy {
        assert_eq!(connection.receive().await.unwrap().status, 200);
    }
    closes(&server, "yielded", 1.0).await;
}

#[tokio::test]
async fn at_a_cap_of_busy_connections_a_new_one_waits_until_one_is_idle() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &CAP).await;
    let mut busy = busy(&server, 8, 1500).await;

    let mut new = open(&server).await;
    new.send(b"GET /hello HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    // All keep their connections, so that one of them has to yield once it is idle.
    for connection in &mut busy {
        assert_eq!(connection.receive().await.unwrap().status, 200);
    }
    assert_eq!(new.receive().await.map(|response| response.status), Ok(200));
    closes(&server, "yielded", 1.0).await;
}

/// A response that the handler is done with may not be out yet.
#[tokio::test]
async fn at_the_cap_a_connection_whose_response_is_still_read_does_not_yield() {
    // More than all buffers of the kernel on the way hold.
    const LENGTH: usize = 16 << 20;
    let _turn = shared().await;
    let server = Server::start_example("streams", &[("APP__SERVER__MAX_CONNECTIONS", "2")]).await;
    let mut reader = peers::reads_later(server.app, &format!("/blob?bytes={LENGTH}")).await;
    assert_eq!(reader.receive_head().await.unwrap().status, 200);
    let mut idle = open(&server).await;
    assert_eq!(idle.get("/hello").await.unwrap().status, 200);

    let mut new = open(&server).await;
    assert_eq!(new.get("/hello").await.unwrap().status, 200);
    assert!(idle.ended_within(SECOND).await.is_some(), "the idle connection has not yielded");
    assert_eq!(reader.receive_bytes(LENGTH).await.map(|body| body.len()), Ok(LENGTH));
    closes(&server, "yielded", 1.0).await;
}

#[tokio::test]
async fn a_thousand_connections_at_256_files_cost_no_cpu_and_leave_no_harm() {
    let _turn = shared().await;
    let server = Server::start_limited(256, &[]).await;
    survives_a_thousand(&server).await;
    println!("yielded: {}", closed(&server, "yielded").await);
}

/// With a cap that the limit of open files cannot hold, accepting fails and backs off.
#[tokio::test]
async fn accepting_without_files_backs_off() {
    let _turn = shared().await;
    let server = Server::start_limited(256, &[("APP__SERVER__MAX_CONNECTIONS", "10000")]).await;
    survives_a_thousand(&server).await;
    let failed = server.series("http_server_accept_errors_total", "kind=\"file_limit\"").await;
    assert!(failed > 0.5, "accepting never failed");
    println!("failed accepts: {failed}");
}

#[tokio::test]
async fn a_drain_without_files_answers_all_where_there_is_time() {
    let (code, statuses) = drains_without_files(1500).await;
    assert_eq!((code, statuses), (0, vec![Ok(200); 45]));
}

/// Some of the last would begin at 6 s, and there are 6.5.
#[tokio::test]
async fn a_drain_without_files_that_loses_requests_exits_with_1() {
    let (code, statuses) = drains_without_files(3000).await;
    assert_ne!(statuses, [Ok(200); 45], "none lost: this test shows nothing");
    assert_eq!(code, 1);
}

/// The exit code, and what became of 45 requests of `ms` in a server of 40 files, half of which it needs itself: the
/// others wait in the queue of the listener, which the drain closes.
async fn drains_without_files(ms: u32) -> (i32, Vec<Result<u16, Failure>>) {
    let _turn = shared().await;
    let settings = [
        ("APP__SERVER__MAX_CONNECTIONS", "1000"),
        ("APP__SERVER__REQUEST_TIMEOUT", "5s"),
        ("APP__OVERLOAD__WORK_MAX_IN_FLIGHT", "100"),
        ("APP__LIFECYCLE__DRAIN_TIMEOUT", "6s"),
    ];
    let mut server = Server::start_limited(40, &settings).await;
    let mut clients = Vec::new();
    for _ in 0..45 {
        let mut client = open(&server).await;
        let request = format!("GET /v1/work?sleep_ms={ms} HTTP/1.1\r\nhost: test\r\n\r\n");
        client.send(request.as_bytes()).await.unwrap();
        clients.push(client);
    }
    server.logs("Too many open files").await;

    server.signal(Signal::SIGTERM);
    let mut statuses = Vec::new();
    for client in &mut clients {
        statuses.push(client.receive().await.map(|response| response.status));
    }
    let code = server.wait_exit(10 * SECOND).await;
    let lost = statuses.iter().filter(|status| status.is_err()).count();
    println!("45 requests of {ms} ms: {lost} lost, exit code {code}");
    (code, statuses)
}

async fn survives_a_thousand(server: &Server) {
    let mut held = Vec::new();
    for _ in 0..1000 {
        held.push(open(server).await);
    }
    let (begun, cpu) = (Instant::now(), server.cpu());
    while begun.elapsed() < 3 * SECOND {
        let asked = Instant::now();
        let answered = within(SECOND, async || server.probe("/readyz").await).await;
        assert!(answered.is_some(), "admin does not answer; its log:\n{}", server.log());
        assert!(asked.elapsed() < SECOND, "admin took {:?}", asked.elapsed());
        at(asked + Duration::from_millis(100)).await;
    }
    let share = server.cpu().saturating_sub(cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
    assert!(share < 0.2, "{:.0} % of a core", share * 100.0);

    drop(held);
    let freed = Instant::now();
    let answers = async || http::get(server.app, "/whoami").await.ok().filter(|response| response.status == 200);
    eventually("a new request is answered", 2 * SECOND, answers).await;
    assert!(freed.elapsed() < 2 * SECOND, "recovered after {:?}", freed.elapsed());
    println!("{:.1} % of a core; recovered after {:?}", share * 100.0, freed.elapsed());
}

#[tokio::test]
async fn exactly_the_hundredth_response_says_close() {
    let _turn = shared().await;
    let server = Server::start(&[("APP__SERVER__MAX_REQUESTS_PER_CONNECTION", "100")]).await;
    let mut connection = open(&server).await;
    for number in 1..=100 {
        let response = connection.get("/whoami").await.unwrap();
        assert_eq!((response.status, response.closes()), (200, number == 100), "response {number}");
    }
    assert!(connection.ended_within(SECOND).await.is_some(), "still open after it said close");
    closes(&server, "requests", 1.0).await;
}
