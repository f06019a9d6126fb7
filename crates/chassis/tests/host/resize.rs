//! CPU and memory that change while the service runs, as when Kubernetes resizes a pod in place. Needs root: the limits are
//! those of real control groups.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::{
    control_group::ControlGroup,
    harness::{
        at, eventually, exclusive,
        load::{Load, Mode, Outcomes},
        server::Server,
        shared,
    },
};

const SECOND: Duration = Duration::from_secs(1);

/// More than one CPU can do: each takes 5 ms of it, and 16 clients pause for 20 ms at most.
fn flood(server: &Server) -> Load {
    Load::start(server.app, 16, Mode::ThinkTime(Duration::from_millis(20)), "/v1/work?cpu_ms=5")
}

/// Answers with 200 a second, over 2 s.
async fn goodput(load: &Load) -> f64 {
    let (begun, before) = (Instant::now(), load.ok());
    at(begun + 2 * SECOND).await;
    #[expect(clippy::cast_precision_loss, reason = "some hundred")]
    let answered = (load.ok() - before) as f64;
    answered / begun.elapsed().as_secs_f64()
}

/// The goodput once it `follows`; within 10 s.
async fn followed(what: &str, load: &Load, follows: impl Fn(f64) -> bool) -> f64 {
    let mut seen = Vec::new();
    for _ in 0..5 {
        let now = goodput(load).await;
        seen.push(now);
        if follows(now) {
            println!("{what}: {now:.0} a second after {} s", 2 * seen.len());
            return now;
        }
    }
    panic!("{what}: the goodput does not follow within 10 s: {seen:.0?}");
}

/// No request is lost where each has an answer, be it a refusal.
fn none_is_lost(outcomes: &Outcomes) {
    println!("{outcomes}");
    assert_eq!(outcomes.failed(), outcomes.non_2xx, "{outcomes}");
    let refused = |answer: &String| answer.starts_with("503 ") && answer.contains("overloaded");
    assert!(outcomes.examples.iter().all(refused), "{outcomes}");
}

async fn stops(mut server: Server) {
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit(20 * SECOND).await, 0, "{}", server.log());
}

async fn shows(server: &Server, metric: &str, value: f64) {
    let what = format!("{metric} is {value}");
    let is = async || (server.metric(metric).await.to_bits() == value.to_bits()).then_some(());
    eventually(&what, 10 * SECOND, is).await;
}

#[tokio::test]
async fn goodput_follows_the_cpu_quota_and_no_request_is_lost() {
    let _turn = exclusive().await;
    let group = ControlGroup::new("quota");
    group.set_cpu(250);
    let server = Server::start_example_in(&group.inner(), "places", &[]).await;
    shows(&server, "replica_cpu_limit_cores", 0.25).await;
    let load = flood(&server);
    let quarter = followed("a quarter of a CPU", &load, |now| now > 10.0).await;

    group.set_cpu(1000);
    let whole = followed("a whole CPU", &load, |now| now > 2.0 * quarter).await;
    shows(&server, "replica_cpu_limit_cores", 1.0).await;

    group.set_cpu(500);
    let half = followed("half a CPU", &load, |now| now < 0.75 * whole).await;
    shows(&server, "replica_cpu_limit_cores", 0.5).await;
    assert!(half > 1.2 * quarter, "{half} with half a CPU, {quarter} with a quarter");

    none_is_lost(&load.stop().await);
    assert_eq!(server.lines_with(&["CPU or memory limit changed"]), 2, "one line for each change: {}", server.log());
    stops(server).await;
}

#[tokio::test]
async fn work_threads_and_their_limit_follow_the_quota_under_load() {
    let _turn = exclusive().await;
    let most = std::thread::available_parallelism().map_or(1, usize::from).min(2);
    let group = ControlGroup::new("threads");
    group.set_cpu(1000);
    let server = Server::start_example_in(&group.inner(), "places", &[]).await;
    let load = flood(&server);
    for (thousandths, threads) in [(2000, most), (1000, 1), (1500, most), (500, 1), (2000, most)] {
        group.set_cpu(thousandths);
        let what = format!("{threads} threads at {thousandths} thousandths");
        eventually(&what, 10 * SECOND, async || {
            let workers = server.series("tokio_workers", "runtime=\"work\"").await;
            (workers.to_bits() == f64::from(u8::try_from(threads).expect("a few")).to_bits()).then_some(())
        })
        .await;
        let answered = load.ok();
        eventually("it goes on", 10 * SECOND, async || (load.ok() > answered + 20).then_some(())).await;
    }
    none_is_lost(&load.stop().await);
    stops(server).await;
}

#[tokio::test]
async fn the_memory_limit_around_the_process_is_followed() {
    let _turn = shared().await;
    let group = ControlGroup::new("memory");
    group.set_memory(256 << 20);
    let server = Server::start_example_in(&group.inner(), "places", &[]).await;
    shows(&server, "replica_memory_limit_bytes", 268_435_456.0).await;
    // An eighth and more of what is left: see `runtime.rs`.
    for (mebibytes, connections) in [(512, 3072), (64, 384)] {
        group.set_memory(mebibytes << 20);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        shows(&server, "replica_memory_limit_bytes", (mebibytes << 20) as f64).await;
        server.logs(&format!("\"max_connections\":{connections}")).await;
    }
    stops(server).await;
}
