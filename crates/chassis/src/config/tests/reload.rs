//! Settings that change while the replica runs.

use std::{os::unix::fs::symlink, sync::Arc, time::Duration as Time};

use prometheus::{Encoder, Registry, TextEncoder};
use tokio::sync::Notify;

use super::*;
use crate::config::{Duration, Live, Metrics, Reload, Size, keys::Keys, show};
use crate::process::Watcher;

fn live(directory: &Directory, file: &str, overlay: Option<&str>) -> Live<App> {
    let mut sources = sources(&[], &[&directory.write("a.toml", file)]);
    sources.overlay = Some(directory.path().join("overlay.yaml"));
    if let Some(overlay) = overlay {
        directory.write("overlay.yaml", overlay);
    }
    let loaded = load(&sources).unwrap();
    Live::new(sources, loaded)
}

#[test]
fn a_reload_applies_the_reloadable_part_and_lists_the_rest() {
    let directory = Directory::new();
    let live = live(&directory, "[server]\nrequest_timeout = \"5s\"", None);
    assert_eq!(live.reload(), Reload::Unchanged);
    let before = live.loaded();

    directory.write(
        "a.toml",
        "[server]\nrequest_timeout = \"6s\"\nbacklog = 7\n[app]\ntoken = \"new\"\n[telemetry]\nlog_filter = \"debug\"",
    );
    let Reload::Applied { generation, hash, restart_pending } = live.reload() else { panic!("not applied") };
    assert_eq!((generation, restart_pending), (2, vec!["app.token".to_owned(), "server.backlog".to_owned()]));
    assert_eq!(hash, live.loaded().hash);
    assert_ne!(hash, before.hash);
    let now = live.get();
    assert_eq!(now.server.request_timeout, Duration::from_secs(6));
    assert_eq!(now.telemetry.log_filter, "debug");
    assert_eq!(now.server.backlog, 1024);
    assert_eq!(now.app.token.expose(), "");
    // Who took a snapshot before keeps it.
    assert_eq!(before.settings.server.request_timeout, Duration::from_secs(5));

    assert_eq!(live.reload(), Reload::Unchanged);
    assert_eq!(live.restart_pending().len(), 2);
    directory.write("a.toml", "[server]\nrequest_timeout = \"5s\"");
    let Reload::Applied { generation: 3, hash, restart_pending } = live.reload() else { panic!("not applied") };
    assert_eq!((hash, restart_pending), (before.hash.clone(), vec![]));
}

#[test]
fn a_refused_reload_changes_nothing() {
    let directory = Directory::new();
    let live = live(&directory, "[server]\nrequest_timeout = \"5s\"", None);
    let before = live.loaded();
    for bad in ["[server]\nrequest_timeout = 5\nbacklog = 7", "[server", "[server]\nrequest_timeout = \"31s\""] {
        directory.write("a.toml", bad);
        let Reload::Refused(errors) = live.reload() else { panic!("not refused: {bad}") };
        assert!(errors.to_string().contains("a.toml"), "{errors}");
        assert!(Arc::ptr_eq(&before, &live.loaded()));
        assert_eq!((live.generation(), live.restart_pending()), (1, vec![]));
    }
    assert_eq!(live.failures(), 3);
}

#[test]
fn a_reader_never_sees_a_half_applied_reload() {
    let file = |timeout: &str| format!("[server]\nheader_timeout = \"{timeout}\"\nbody_timeout = \"{timeout}\"");
    let directory = Directory::new();
    let live = live(&directory, &file("1s"), None);
    let done = AtomicU32::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while done.load(Ordering::Relaxed) == 0 {
                let settings = live.get();
                assert_eq!(settings.server.header_timeout, settings.server.body_timeout);
            }
        });
        for round in 2..12 {
            directory.write("a.toml", &file(&format!("{round}s")));
            assert!(matches!(live.reload(), Reload::Applied { .. }));
        }
        done.store(1, Ordering::Relaxed);
    });
    assert_eq!(live.generation(), 11);
}

#[test]
fn a_change_that_contradicts_a_running_value_is_refused() {
    let directory = Directory::new();
    let live = live(&directory, "", None);
    directory.write("a.toml", "[server]\nrequest_timeout = \"45s\"\n[lifecycle]\ndrain_timeout = \"60s\"");
    let Reload::Refused(errors) = live.reload() else { panic!("not refused") };
    let shown = errors.to_string();
    assert!(shown.contains("running values") && shown.contains("lifecycle.drain_timeout: built-in default"), "{shown}");
}

#[test]
fn an_overlay_wins_over_files_and_loses_to_the_environment() {
    let directory = Directory::new();
    let file = directory.write("a.toml", "[server]\nrequest_timeout = \"5s\"\nmax_body = \"1KiB\"");
    let mut sources = sources(&[("APP__SERVER__MAX_BODY", "3KiB")], &[&file]);
    sources.overlay = Some(directory.write("o.yaml", "server:\n  request_timeout: 6s\n  max_body: 2KiB\n"));
    let loaded = load::<App>(&sources).unwrap();
    assert_eq!(loaded.settings.server.request_timeout, Duration::from_secs(6));
    assert_eq!(loaded.settings.server.max_body, Size::kib(3));
    assert!(loaded.notes.is_empty());
    assert_eq!(sources.paths().len(), 2);
}

#[test]
fn an_overlay_that_does_not_fit_is_ignored_as_a_whole_and_noted() {
    let directory = Directory::new();
    for (overlay, says) in [
        ("server:\n  request_timeout: 6s\n  backlog: 5\n", "server.backlog: needs a restart"),
        ("server:\n  request_timeout: 6s\n  from_the_future: 5\n", "server.from_the_future: unknown key"),
        ("server:\n  request_timeout: 60s\n", "at least request_timeout"),
        ("server:\n  request_timeout: hunter2\n", "a duration"),
        ("server: [", "is not valid YAML"),
    ] {
        let live = live(&directory, "", Some(overlay));
        let loaded = live.loaded();
        assert_eq!(*loaded.settings, Settings::default(), "{overlay}");
        let notes = loaded.notes.join("\n");
        assert!(notes.starts_with("overlay ignored: ") && notes.contains(says), "{notes}");
        assert!(notes.contains("overlay.yaml") && !notes.contains("hunter2"), "{notes}");
        assert_eq!(live.failures(), 1);
    }
}

#[test]
fn a_bad_overlay_at_reload_leaves_the_last_good_one_in_force() {
    let directory = Directory::new();
    let live = live(&directory, "", Some("overload:\n  max_in_flight: 7\n"));
    directory.write("overlay.yaml", "overload:\n  max_in_flight: none\n");
    assert_eq!(live.reload(), Reload::Unchanged);
    assert_eq!(live.get().overload.max_in_flight, 7);
    assert_eq!((live.loaded().notes.len(), live.failures()), (1, 1));

    fs::remove_file(directory.path().join("overlay.yaml")).unwrap();
    assert!(matches!(live.reload(), Reload::Applied { generation: 2, .. }));
    assert_eq!(live.get().overload.max_in_flight, 2048);
    assert!(live.loaded().notes.is_empty());
}

/// Every key with the mark, and some without.
const CHANGED: &str = r#"
[server]
header_timeout = "7s"
idle_timeout = "7s"
request_timeout = "7s"
body_timeout = "7s"
write_timeout = "7s"
min_rate = "7B"
max_body = "7KiB"
max_uploads = 7
max_upload_bytes = "7KiB"
max_connection_age = "7s"
max_upgrade_age = "7s"
upgrade_idle_timeout = "7s"
max_requests_per_connection = 7
backlog = 7
max_head = "7KiB"
max_uri = "7KiB"
load_report = "json"
immediate_health_check_fail = true
trusted_peers = []

[overload]
enabled = false
adaptive = false
max_in_flight = 7
work_max_in_flight = 7
queue_length = 7
queue_timeout = "7ms"
retry_after = "7s"
refusal_status = 429

[telemetry]
log_filter = "debug"
access_log = false
sample_ratio = 0.7
parent_based = false
log_format = "json"

[faults]
unready_for = "7s"
fail_liveness_after = "7s"

[lifecycle]
drain_delay = "7s"

[admin]
mutable = true
"#;

#[test]
fn a_reload_takes_the_marked_keys_and_no_other() {
    let directory = Directory::new();
    let live = live(&directory, "", None);
    directory.write("a.toml", CHANGED);
    let Reload::Applied { restart_pending, .. } = live.reload() else { panic!("not applied") };
    let waiting =
        ["server.backlog", "server.max_head", "server.max_uri", "server.trusted_peers", "telemetry.log_format"];
    assert_eq!(restart_pending, [&["admin.mutable", "lifecycle.drain_delay"], &waiting[..]].concat());
    let keys = Keys::of::<App>();
    let marked = keys.leaves().into_iter().filter(|key| keys.is_reloadable(&key.path())).map(|key| key.name);
    let mut marked: Vec<String> = marked.collect();
    marked.sort();
    assert_eq!(show::differing(&Settings::<App>::default(), &live.get()), marked);
}

#[test]
fn a_watcher_sees_writes_renames_and_swapped_symlinks_once_each() {
    let directory = Directory::new();
    let root = directory.path();
    for (version, content) in [("v1", "a"), ("v2", "b")] {
        fs::create_dir(root.join(version)).unwrap();
        fs::write(root.join(version).join("a.toml"), content).unwrap();
    }
    // As a kubelet projects a volume: the file links into `..data`, which is swapped by a rename.
    symlink("v1", root.join("..data")).unwrap();
    symlink("..data/a.toml", root.join("a.toml")).unwrap();
    let mut watcher = Watcher::new(vec![root.join("a.toml"), root.join("absent.toml")]);
    assert!(!watcher.changed());

    symlink("v2", root.join("..data_tmp")).unwrap();
    fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    assert!(watcher.changed() && !watcher.changed());
    fs::write(root.join("v2/a.toml"), "[bad").unwrap();
    assert!(watcher.changed() && !watcher.changed());
    fs::write(root.join("new"), "c").unwrap();
    fs::rename(root.join("new"), root.join("absent.toml")).unwrap();
    assert!(watcher.changed() && !watcher.changed());
    fs::remove_file(root.join("absent.toml")).unwrap();
    assert!(watcher.changed() && !watcher.changed());
}

#[tokio::test(start_paused = true)]
async fn watching_signals_a_change_and_nothing_else() {
    let directory = Directory::new();
    let path = directory.write("a.toml", "a");
    let changed = Arc::new(Notify::new());
    let watching = tokio::spawn(Watcher::new(vec![path]).run(Arc::clone(&changed)));
    let quiet = tokio::time::timeout(Time::from_mins(1), changed.notified()).await;
    assert!(quiet.is_err());
    directory.write("a.toml", "b");
    tokio::time::timeout(Time::from_mins(1), changed.notified()).await.expect("a signal");
    assert!(tokio::time::timeout(Time::from_mins(1), changed.notified()).await.is_err());
    watching.abort();
}

#[test]
fn metrics_follow_the_settings_in_force() {
    let directory = Directory::new();
    let live = live(&directory, "", None);
    let registry = Registry::new();
    let metrics = Metrics::new(&registry).unwrap();
    let text = || {
        let mut text = Vec::new();
        TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
        String::from_utf8(text).unwrap()
    };
    metrics.record(&live);
    let first = live.loaded().hash.clone();
    assert!(text().contains(&format!("config_info{{hash=\"{first}\"}} 1")), "{}", text());
    assert!(text().contains("config_generation 1\n") && text().contains("config_restart_pending 0\n"));

    directory.write("a.toml", "[server]\nbacklog = 7\nmax_body = \"1KiB\"");
    live.reload();
    directory.write("a.toml", "[server");
    live.reload();
    metrics.record(&live);
    metrics.record(&live);
    assert!(!text().contains(&first) && text().contains(&live.loaded().hash), "{}", text());
    assert!(text().contains("config_generation 2\n") && text().contains("config_restart_pending 1\n"));
    assert!(text().contains("config_reload_failures_total 1\n"), "{}", text());
}
