//! What the old process does once the new one serves, and what both say to their callers.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::{
    harness::{
        Scratch, eventually, free_port,
        http::{self, Connection},
        local, server, shared,
    },
    line::Line,
};

#[tokio::test]
async fn probes_on_open_connections_stay_200_and_say_close() {
    let _turn = shared().await;
    let mut line = Line::start(&[("APP__LIFECYCLE__DRAIN_DELAY", "10s")]).await;
    let mut app = Connection::open(line.app).await.expect("connecting");
    let mut admin = Connection::open(line.admin).await.expect("connecting");
    for (connection, path) in [(&mut app, "/healthz"), (&mut admin, "/readyz")] {
        let before = connection.get(path).await.expect("an answer");
        assert!(before.status == 200 && !before.closes(), "{path}: {before:?}");
    }
    line.restart().await;
    line.logs("\"draining\"").await;
    for (connection, path) in [(&mut app, "/healthz"), (&mut admin, "/readyz")] {
        let after = connection.get(path).await.expect("an answer");
        assert!(after.status == 200 && after.closes(), "{path}: {after:?}");
        assert!(connection.ended_within(Duration::from_secs(1)).await.is_some(), "{path}: the connection stays");
    }
}

#[tokio::test]
async fn the_old_process_accepts_nowhere_and_answers_what_it_has() {
    let _turn = shared().await;
    let mut line = Line::start(&[("APP__LIFECYCLE__DRAIN_DELAY", "100ms")]).await;
    let app = line.app;
    let request = tokio::spawn(async move { http::get(app, "/v1/work?sleep_ms=2500").await });
    let running = async || {
        let text = http::get(line.admin, "/metrics").await.ok()?.text();
        text.lines().any(|line| line == "http_server_active_requests 1").then_some(())
    };
    eventually("the request runs", Duration::from_secs(5), running).await;
    line.restart().await;
    line.logs("\"draining\"").await;
    for _ in 0..50 {
        let metrics = http::get(line.admin, "/metrics").await.expect("metrics").text();
        assert!(metrics.contains("lifecycle_phase{phase=\"ready\"} 1"), "the old process answered:\n{metrics}");
        // A new process has served few requests.
        assert_eq!(http::get(line.app, "/whoami").await.expect("an answer").status, 200);
    }
    assert!(!request.is_finished(), "the request did not outlast the hand-over");
    let response = request.await.expect("a task").expect("an answer");
    assert_eq!(response.status, 200);
    assert_eq!(line.stop().await, [0, 0]);
}

#[tokio::test]
async fn the_first_sigterm_after_a_hand_over_cuts_nothing() {
    let _turn = shared().await;
    let mut line = Line::start(&[]).await;
    let app = line.app;
    let request = tokio::spawn(async move { http::get(app, "/v1/work?sleep_ms=1500").await });
    let old = line.pid();
    let running = async || {
        let text = http::get(line.admin, "/metrics").await.ok()?.text();
        text.lines().any(|line| line == "http_server_active_requests 1").then_some(())
    };
    eventually("the request runs", Duration::from_secs(5), running).await;
    line.restart().await;
    line.logs("\"draining\"").await;
    // As systemd stops a service: every process of it.
    nix::sys::signal::kill(old, Signal::SIGTERM).expect("signalling");
    line.logs("already draining").await;
    assert_eq!(request.await.expect("a task").expect("an answer").status, 200);
    assert_eq!(line.exit_code(old).await, 0);
}

#[tokio::test]
async fn new_settings_take_listeners_away_and_add_some() {
    let _turn = shared().await;
    let scratch = Scratch::new("listeners");
    let [kept, removed, added] = [(); 3].map(|()| local(free_port()));
    let both = |one, other| format!("[server]\nlisten = [\"http://{one}\", \"http://{other}\"]\n");
    let file = scratch.write("settings.toml", &both(kept, removed));
    let mut line = Line::start_program(crate::harness::server::program(), &[], |command| {
        command.env_remove("APP__SERVER__LISTEN").arg("--config").arg(&file);
    })
    .await;
    fs::write(&file, both(kept, added)).expect("writing the settings");
    line.restart().await;
    for address in [kept, added] {
        assert_eq!(http::get(address, "/whoami").await.expect("an answer").status, 200, "{address}");
    }
    assert_eq!(line.exit_code(line.pids[0]).await, 0);
    TcpStream::connect(removed).expect_err("the listener that was taken away is open");
    assert_eq!(http::get(kept, "/whoami").await.expect("an answer").status, 200);
    line.pids.remove(0);
    assert_eq!(line.stop().await, [0]);
}

#[tokio::test]
async fn the_pid_file_goes_with_the_last_process() {
    let _turn = shared().await;
    let mut line = Line::start(&[]).await;
    line.restart().await;
    assert_eq!(line.exit_code(line.pids[0]).await, 0);
    assert_eq!(line.pid_file(), Some(line.pid()), "the old process took the file with it");
    let names = fs::read_dir(line.path("")).expect("the directory").map(|entry| entry.expect("an entry").file_name());
    assert_eq!(names.filter(|name| name.to_string_lossy().starts_with("pid")).count(), 1, "a draft is left");
    line.signal(Signal::SIGTERM);
    assert_eq!(line.exit_code(line.pid()).await, 0);
    assert_eq!(line.pid_file(), None);
}

#[tokio::test]
async fn a_new_process_that_waits_for_its_database_leaves_the_old_one_serving() {
    let _turn = shared().await;
    let address = local(free_port()).to_string();
    let database = TcpListener::bind(&address).expect("the database's address");
    let resources = server::example("resources");
    let mut line = Line::start_program(&resources, &[("APP__APP__DATABASE", &address)], |_| {}).await;
    let old = line.pid();
    drop(database);
    line.signal(Signal::SIGUSR2);
    line.logs("not ready yet").await;
    assert_eq!(line.pid_file(), Some(old), "the new process took over before its step was done");
    assert_eq!(http::get(line.app, "/hello").await.expect("an answer").status, 200);

    let _database = TcpListener::bind(&address).expect("the database's address");
    let new = line.holds("a successor", async || line.pid_file().filter(|pid| *pid != old)).await;
    line.pids.push(new);
    assert_eq!(http::get(line.app, "/hello").await.expect("an answer").status, 200);
    assert_eq!(line.stop().await, [0, 0]);
}
