//! Settings that change while the replica runs.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Scratch, server::Server, shared};

/// Files are read every 2 s.
const BOUND: Duration = Duration::from_secs(6);

/// What a test changes stands in the file alone: the environment would win.
const FILE: &str = "[server]\nrequest_timeout = \"3s\"\n\n[telemetry]\nlog_filter = \"info\"\n";

fn with(request_timeout: &str, log_filter: &str) -> String {
    FILE.replace("\"3s\"", &format!("\"{request_timeout}\"")).replace("\"info\"", &format!("\"{log_filter}\""))
}

async fn start(scratch: &Scratch) -> (Server, PathBuf) {
    let file = scratch.write("settings.toml", FILE);
    let arguments = ["--config", file.to_str().unwrap()];
    (Server::start_from_files(&arguments, &["APP__SERVER__REQUEST_TIMEOUT"]).await, file)
}

async fn config(server: &Server) -> Value {
    serde_json::from_slice(&server.admin("/config").await.body).unwrap()
}

/// A request that takes a second gets 200 at 3 s, and 504 at 500 ms.
async fn status_of_a_second(server: &Server) -> u16 {
    server.get("/v1/work?sleep_ms=1000").await.status
}

async fn assert_new(server: &Server) {
    server.metric_becomes("config_generation", 2.0, BOUND).await;
    let config = config(server).await;
    assert_eq!(config["generation"], 2);
    assert_eq!(config["settings"]["server"]["request_timeout"], "500ms");
    assert_eq!(config["settings"]["telemetry"]["log_filter"], "debug");
    let hash = format!("hash=\"{}\"", config["hash"].as_str().unwrap());
    assert!((server.series("config_info", &hash).await - 1.0).abs() < 0.5);
    assert_eq!(server.admin("/log-filter").await.text().trim(), "debug");
    assert_eq!(status_of_a_second(server).await, 504);
}

#[tokio::test]
async fn a_changed_file_swaps_timeout_and_log_filter_without_a_restart() {
    let _turn = shared().await;
    let scratch = Scratch::new("reload");
    let (server, file) = start(&scratch).await;
    let before = config(&server).await["hash"].clone();
    assert_eq!(status_of_a_second(&server).await, 200);
    fs::write(&file, with("500ms", "debug")).unwrap();
    assert_new(&server).await;
    assert_ne!(config(&server).await["hash"], before);
}

/// As Kubernetes mounts a `ConfigMap`: the file is a link into `..data`, itself a link that is swapped.
#[tokio::test]
async fn a_swapped_data_link_is_a_change() {
    let _turn = shared().await;
    let scratch = Scratch::new("reload");
    let directory = scratch.path();
    for (version, content) in [("..1", FILE.to_owned()), ("..2", with("500ms", "debug"))] {
        fs::create_dir(directory.join(version)).unwrap();
        fs::write(directory.join(version).join("settings.toml"), content).unwrap();
    }
    let link = std::os::unix::fs::symlink::<&str, PathBuf>;
    link("..1", directory.join("..data")).unwrap();
    link("..data/settings.toml", directory.join("settings.toml")).unwrap();
    let file = directory.join("settings.toml");
    let arguments = ["--config", file.to_str().unwrap()];
    let server = Server::start_from_files(&arguments, &["APP__SERVER__REQUEST_TIMEOUT"]).await;
    link("..2", directory.join("..data_tmp")).unwrap();
    fs::rename(directory.join("..data_tmp"), directory.join("..data")).unwrap();
    assert_new(&server).await;
}

/// The signal comes right after the change, and the answer well before the file's next look.
#[tokio::test]
async fn sighup_reads_the_files_again() {
    let _turn = shared().await;
    let scratch = Scratch::new("reload");
    let (server, file) = start(&scratch).await;
    server.signal(Signal::SIGHUP);
    server.logs("settings checked: no changes").await;
    assert!((server.metric("config_generation").await - 1.0).abs() < 0.5);

    fs::write(&file, with("500ms", "debug")).unwrap();
    server.signal(Signal::SIGHUP);
    assert_new(&server).await;
}

/// A FIFO that nobody writes is read for ever, as a mount whose server is gone.
#[tokio::test]
async fn a_file_that_hangs_holds_up_neither_probes_nor_the_end() {
    let _turn = shared().await;
    let scratch = Scratch::new("reload");
    let (mut server, file) = start(&scratch).await;
    fs::remove_file(&file).unwrap();
    assert!(Command::new("mkfifo").arg(&file).status().expect("running mkfifo").success());
    server.signal(Signal::SIGHUP);
    // Opening the other end succeeds once the server has opened its own: it is reading now.
    let write_end = tokio::task::spawn_blocking(move || fs::OpenOptions::new().write(true).open(file));
    let _held = tokio::time::timeout(BOUND, write_end).await.expect("the file is read").unwrap().expect("opening it");

    assert_eq!(server.probe("/livez").await, Some(200));
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit(BOUND).await, 0, "{}", server.log());
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_is_counted_and_a_good_one_is_taken_again() {
    let _turn = shared().await;
    let scratch = Scratch::new("reload");
    let (server, file) = start(&scratch).await;
    let before = config(&server).await;
    fs::write(&file, with("soon", "debug").replace("[server]", "[server]\nlissten = 1")).unwrap();
    server.metric_becomes("config_reload_failures_total", 1.0, BOUND).await;
    assert_eq!(config(&server).await, before);
    assert!((server.metric("config_generation").await - 1.0).abs() < 0.5);
    assert_eq!(status_of_a_second(&server).await, 200);
    // Both faults are named, each once, with key and file.
    let keys = ["server.request_timeout", "server.lissten"];
    for key in keys {
        server.logs(key).await;
    }
    let log = server.log();
    for key in keys {
        let named: Vec<_> = log.lines().filter(|line| line.contains(key) && line.contains("settings.toml")).collect();
        assert_eq!(named.len(), 1, "{key}: {log}");
    }

    fs::write(&file, with("500ms", "debug")).unwrap();
    assert_new(&server).await;
    assert!((server.metric("config_reload_failures_total").await - 1.0).abs() < 0.5);
}

#[tokio::test]
async fn a_key_that_needs_a_restart_keeps_its_value_and_is_pending() {
    let _turn = shared().await;
    let scratch = Scratch::new("reload");
    let (server, file) = start(&scratch).await;
    fs::write(&file, with("3s", "info").replace("[server]", "[server]\nbacklog = 77")).unwrap();
    server.metric_becomes("config_restart_pending", 1.0, BOUND).await;
    assert_eq!(config(&server).await["restart_pending"], serde_json::json!(["server.backlog"]));
    fs::write(&file, FILE).unwrap();
    server.metric_becomes("config_restart_pending", 0.0, BOUND).await;
}
