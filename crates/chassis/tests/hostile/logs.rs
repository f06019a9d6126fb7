//! What strangers put into logs and telemetry, while nobody takes it: it costs a bounded amount of memory, and no time.
//!
//! Next: `uploads`.

use std::time::{Duration, Instant};

use crate::{
    beside::{Healthy, Memory},
    harness::{
        at,
        collector::Hanging,
        eventually, exclusive,
        http::{Connection, get},
        load::{Load, Mode},
        server::Server,
    },
};

#[tokio::test]
async fn long_user_agents_beside_a_stuck_collector_cost_little_memory() {
    let _turn = exclusive().await;
    let collector = Hanging::start().await;
    let server = Server::start(&[
        ("APP__TELEMETRY__SAMPLE_RATIO", "1"),
        ("APP__TELEMETRY__OTLP_ENDPOINT", &collector.url()),
        ("APP__TELEMETRY__OTLP_LOGS", "true"),
        ("APP__TELEMETRY__ACCESS_LOG", "true"),
        // All of it goes over one connection, which may take more than a minute on a busy machine.
        ("APP__SERVER__MAX_CONNECTION_AGE", "10m"),
    ])
    .await;
    let mut connection = Connection::open(server.app).await.expect("connecting");
    connection.get("/whoami").await.expect("an answer");
    // Before the healthy clients: their own spans would fill the queue, and leave no room for the long ones.
    let memory = Memory::of(&server);
    let agent = "a".repeat(30_000);
    let request = format!("GET /whoami HTTP/1.1\r\nhost: test\r\nuser-agent: {agent}\r\n\r\n");
    let healthy = Healthy::start(server.app);
    for _ in 0..2_000 {
        connection.send(request.as_bytes()).await.expect("sending");
        assert_eq!(connection.receive().await.map(|answer| answer.status), Ok(200));
    }
    healthy.answered(2_000).await;
    memory.holds(&server, "2,000 user agents of 30 kB");
    healthy.none_failed("2,000 user agents of 30 kB").await;
    let line = || server.log().lines().find(|line| line.contains(&agent[..64])).map(ToOwned::to_owned);
    let line = eventually("an access line", Duration::from_secs(10), async || line()).await;
    assert!(line.contains(&format!("{}…\"", "a".repeat(256))) && line.len() < 1_000, "{line}");
}

/// How many requests 32 clients get answered while `beside` goes on, and what half of them took at most.
async fn progress(server: &Server, beside: impl Future<Output = ()>) -> (u64, Duration) {
    let mode = Mode::ThinkTime(Duration::from_millis(5));
    let healthy = Load::start(server.app, 32, mode, "/hello");
    beside.await;
    let mut latencies = healthy.take_latencies();
    latencies.sort_unstable();
    let outcomes = healthy.stop().await;
    assert_eq!(outcomes.failed(), 0, "{outcomes}");
    (outcomes.ok, latencies[latencies.len() / 2])
}

#[tokio::test]
async fn panics_beside_a_stuck_output_hold_nobody_up() {
    let _turn = exclusive().await;
    let settings = [("APP__TELEMETRY__ACCESS_LOG", "true"), ("RUST_BACKTRACE", "0")];
    let server = Server::start_example("streams", &settings).await;
    let before = server.resident_kib();
    assert_eq!(get(server.app, "/panic").await.map(|answer| answer.status), Ok(500));
    server.logs("this handler panics").await;
    println!("the first panic: {before} KiB before, {} KiB after", server.resident_kib());
    server.stop_reading();
    fill(&server).await;
    let memory = Memory::of(&server);
    let begun = Instant::now();
    let (beside, p50) = progress(&server, async {
        let mut connection = Connection::open(server.app).await.expect("connecting");
        for _ in 0..200 {
            // Paced: the healthy clients get some seconds in which to show that they are held up, or not.
            at(Instant::now() + Duration::from_millis(10)).await;
            assert_eq!(connection.get("/panic").await.map(|answer| answer.status), Ok(500));
        }
    })
    .await;
    let lasted = begun.elapsed();
    let (alone, p50_alone) = progress(&server, at(Instant::now() + lasted)).await;
    println!("200 panics in {lasted:?}: {beside} healthy requests beside them, {alone} in the same time without");
    // Printed, not asserted: a busy machine has its own.
    println!("p50 {p50:?} beside them, {p50_alone:?} without");
    // They are paced to 2 s; a wait of 100 ms on each would make it 20.
    assert!(lasted < Duration::from_secs(12), "200 panics took {lasted:?}");
    assert!(beside * 2 >= alone, "{beside} requests beside 200 panics, {alone} in the same time without");
    memory.holds(&server, "200 panics");
}

/// Fills the pipe, and the megabyte behind it, with access lines.
async fn fill(server: &Server) {
    let load = Load::start(server.app, 16, Mode::KeepAlive, "/hello");
    let full = async || (server.series("telemetry_dropped_total", "logs").await > 0.0).then_some(());
    eventually("log lines are dropped", Duration::from_secs(30), full).await;
    load.stop().await;
}
