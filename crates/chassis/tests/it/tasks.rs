//! Background tasks: they end within the drain, or are cut by name, and what the app has is closed behind them.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::{http, server::Server, shared, within};

/// Above what a busy machine needs, and below what would hide a hang.
const BOUND: Duration = Duration::from_secs(15);

async fn start(settings: &[(&str, &str)]) -> Server {
    let drain = [("APP__LIFECYCLE__DRAIN_DELAY", "100ms"), ("RUST_BACKTRACE", "0")];
    Server::start_example("resources", &[&drain, settings].concat()).await
}

/// Stops it; the exit code.
async fn stopped(server: &mut Server) -> i32 {
    server.signal(Signal::SIGTERM);
    let code = server.wait_exit(BOUND).await;
    // The last lines are read behind the end.
    server.logs("\"stopped\"").await;
    code
}

/// The lines come in this order.
fn assert_order(log: &str, lines: &[&str]) {
    let places: Vec<_> = lines.iter().map(|line| log.find(line)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "not in order: {lines:?}\n{log}");
}

#[tokio::test]
async fn a_task_that_needs_three_seconds_to_end_is_awaited() {
    let _turn = shared().await;
    let mut server = start(&[("APP__APP__TASK", "ends"), ("APP__APP__TAKES", "3s")]).await;
    assert_eq!(stopped(&mut server).await, 0, "{}", server.log());
    assert_order(&server.log(), &["purged", "cache closed", "database closed", "\"drained\":true"]);
}

#[tokio::test]
async fn a_task_that_hangs_is_cut_at_the_deadline_with_code_one_and_its_name() {
    let _turn = shared().await;
    let mut server = start(&[("APP__APP__TASK", "hangs"), ("APP__LIFECYCLE__DRAIN_TIMEOUT", "3s")]).await;
    assert_eq!(stopped(&mut server).await, 1, "{}", server.log());
    let log = server.log();
    assert_order(&log, &["the background task purge was cut off", "\"drained\":false"]);
    assert_order(&log, &["cache closed", "database closed"]);
    assert!(!log.contains("requests were cut off"), "{log}");
}

#[tokio::test]
async fn a_task_that_requests_hand_work_to_ends_behind_them() {
    let _turn = shared().await;
    let mut server = start(&[("APP__APP__TASK", "writes"), ("APP__APP__TAKES", "100ms")]).await;
    let app = server.app;
    let request = tokio::spawn(async move { http::get(app, "/slow").await });
    server.metric_becomes("http_server_active_requests", 1.0, BOUND).await;
    assert_eq!(stopped(&mut server).await, 0, "{}", server.log());
    assert_eq!(request.await.expect("a task").map(|response| response.status), Ok(200));
    assert_order(&server.log(), &["responded", "written", "cache closed"]);
}

#[tokio::test]
async fn a_task_that_a_handler_starts_is_awaited_too() {
    let _turn = shared().await;
    let mut server = start(&[("APP__APP__TAKES", "1s")]).await;
    assert_eq!(server.get("/mail").await.status, 200);
    assert_eq!(stopped(&mut server).await, 0, "{}", server.log());
    assert_order(&server.log(), &["mail sent", "cache closed"]);
}

#[tokio::test]
async fn a_panic_is_one_line_with_the_tasks_name_and_is_counted() {
    let _turn = shared().await;
    let mut server = start(&[("APP__APP__TASK", "panics")]).await;
    server.series_becomes("tasks_ended_total", "outcome=\"panicked\",task=\"purge\"", 1.0).await;
    assert!(server.series("tasks_running", "task=\"purge\"").await < 0.5);
    assert_eq!(server.get("/hello").await.status, 200);
    assert_eq!(stopped(&mut server).await, 0);
    let log = server.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("purge")).collect();
    assert!(lines.len() == 1 && lines[0].contains("\"task\":\"purge\""), "{log}");
}

#[tokio::test]
async fn a_supervised_task_that_fails_starts_again() {
    let _turn = shared().await;
    let mut server = start(&[("APP__APP__TASK", "fails")]).await;
    let again = async || {
        let failed = server.series("tasks_ended_total", "outcome=\"failed\",task=\"purge\"").await;
        (failed >= 2.0).then_some(())
    };
    assert!(within(BOUND, again).await.is_some(), "{}", server.log());
    assert!(server.log().contains("the background task purge failed"), "{}", server.log());
    // It waits for its next run, and the drain does not wait for that.
    assert_eq!(stopped(&mut server).await, 0, "{}", server.log());
}

#[tokio::test]
async fn a_periodic_task_runs_again_and_its_present_run_is_awaited() {
    let _turn = shared().await;
    let mut server = start(&[("APP__APP__TASK", "often"), ("APP__APP__TAKES", "200ms")]).await;
    let twice = async || {
        let runs = server.series("tasks_ended_total", "outcome=\"completed\",task=\"purge\"").await;
        (runs >= 2.0).then_some(())
    };
    assert!(within(BOUND, twice).await.is_some(), "{}", server.log());
    assert_eq!(stopped(&mut server).await, 0, "{}", server.log());
}

#[tokio::test]
async fn what_does_not_close_is_cut_with_code_one_and_its_name() {
    let _turn = shared().await;
    let settings = [
        ("APP__APP__CLOSING_HANGS", "true"),
        ("APP__LIFECYCLE__DRAIN_TIMEOUT", "3s"),
        ("APP__LIFECYCLE__FLUSH_TIMEOUT", "500ms"),
    ];
    let mut server = start(&settings).await;
    assert_eq!(stopped(&mut server).await, 1, "{}", server.log());
    assert_order(&server.log(), &["cache closed", "closing database failed", "\"drained\":false"]);
}

#[tokio::test]
async fn a_task_begins_behind_what_the_start_waits_for() {
    let _turn = shared().await;
    let away = crate::harness::local(crate::harness::free_port()).to_string();
    let settings = [("APP__APP__DATABASE", &*away), ("APP__APP__TASK", "panics")];
    let mut server = Server::start_example_unready("resources", &settings).await;
    server.logs("not ready yet").await;
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit(BOUND).await, 0, "{}", server.log());
    let log = server.log();
    assert!(!log.contains("no table to purge") && !log.contains("closed"), "{log}");
}
