//! Which layer wins.

use super::*;
use crate::config::{Auto, Duration, Size};

#[test]
fn the_defaults_fit() {
    let loaded = with_environment(&[]).unwrap();
    assert_eq!(*loaded.settings, Settings::default());
    assert!(loaded.notes.is_empty());
    load::<()>(&Sources::default()).unwrap_or_else(|errors| panic!("{errors}"));
}

#[test]
fn a_later_file_wins_and_the_environment_wins_over_files() {
    let directory = Directory::new();
    let first = directory.write(
        "a.toml",
        "[server]\nlisten = [\"http://[::]:1\"]\nbacklog = 1\nmax_body = \"1KiB\"\n[app.labels]\na = \"1\"\nb = \"1\"",
    );
    let second = directory.write("b.yaml", "server:\n  backlog: 2\n  max_body: 2KiB\napp:\n  labels: { b: '2' }\n");
    let pairs = [("APP__SERVER__MAX_BODY", "3KiB"), ("APP__APP__LABELS__C", "3")];
    let settings = load::<App>(&sources(&pairs, &[&first, &second])).unwrap().settings;
    assert_eq!(settings.server.listen, ["http://[::]:1"]);
    assert_eq!(settings.server.backlog, 2);
    assert_eq!(settings.server.max_body, Size::kib(3));
    let labels: Vec<_> = settings.app.labels.iter().map(|(key, value)| format!("{key}{value}")).collect();
    assert_eq!(labels, ["a1", "b2", "c3"]);
}

#[test]
fn the_environment_takes_the_types_of_its_targets() {
    let settings = settings(&[
        ("APP__SERVER__LISTEN", "http://[::]:1, http://0.0.0.0:2"),
        ("APP__server__request_timeout", "250ms"),
        ("APP__SERVER__MAX_CONNECTIONS", "100"),
        ("APP__RUNTIME__WORKER_THREADS", "auto"),
        ("APP__SERVER__MAX_CONNECTION_AGE", "0"),
        ("APP__SERVER__TRUSTED_PEERS", "10.0.0.0/8"),
        ("APP__LIFECYCLE__GRACE_PERIOD", ""),
        ("APP__APP__TOKEN", "0071"),
        ("APP__APP__PORTS", ""),
        ("APP__APP__MODE", "fancy"),
        ("APP__APP__NETWORK__NAME", "n"),
        ("APP__APP__NETWORK__HOPS", "3"),
        ("UNRELATED", "x"),
        ("APP_PORT", "tcp://10.0.0.1:80"),
    ]);
    assert_eq!(settings.server.listen, ["http://[::]:1", "http://0.0.0.0:2"]);
    assert_eq!(settings.server.request_timeout, Duration::from_millis(250));
    assert_eq!(settings.server.max_connections, Auto::Value(100));
    assert_eq!(settings.server.max_connection_age, Duration::default());
    assert_eq!(settings.server.trusted_peers.len(), 1);
    assert_eq!(settings.lifecycle.grace_period, None);
    assert_eq!(settings.app.token.expose(), "0071");
    assert!(settings.app.ports.is_empty());
    assert_eq!(settings.app.mode, Mode::Fancy);
    assert_eq!(settings.app.network, Some(Network { name: "n".into(), hops: 3 }));
}

#[test]
fn empty_sections_and_optional_nulls_are_allowed_in_files() {
    let directory = Directory::new();
    let path = directory.write("a.yaml", "server:\nlifecycle:\n  grace_period: null\napp: {}\n");
    let empty = directory.write("b.yaml", "");
    assert_eq!(*load::<App>(&sources(&[], &[&path, &empty])).unwrap().settings, Settings::default());
}

#[test]
fn port_is_followed_where_nothing_else_sets_the_listeners() {
    let directory = Directory::new();
    let path = directory.write("a.toml", "[server]\nlisten = [\"http://[::]:1\"]");
    let loaded = with_environment(&[("PORT", "9090")]).unwrap();
    assert_eq!(loaded.settings.server.listen, ["http://[::]:9090"]);
    assert_eq!(loaded.source("server.listen").to_string(), "environment variable PORT");
    // Unset, as with the other names that are not ours.
    assert_eq!(*with_environment(&[("PORT", "")]).unwrap().settings, Settings::default());
    // What is not followed may be anything: a shell of another program's.
    for port in ["9090", "serial"] {
        let ours = settings(&[("PORT", port), ("APP__SERVER__LISTEN", "http://[::]:2")]);
        assert_eq!(ours.server.listen, ["http://[::]:2"]);
        let file = load::<App>(&sources(&[("PORT", port)], &[&path])).unwrap();
        assert_eq!(file.settings.server.listen, ["http://[::]:1"]);
    }
}

#[test]
fn port_is_not_judged_where_a_file_that_may_rank_above_it_was_not_read() {
    let directory = Directory::new();
    let broken = directory.write("broken.toml", "[server\n");
    let errors = load::<App>(&sources(&[("PORT", "serial")], &[&broken])).unwrap_err().to_string();
    assert!(errors.contains("broken.toml") && !errors.contains("PORT"), "{errors}");
}

#[test]
fn names_that_differ_in_case_only_are_refused() {
    let pairs = [("APP__SERVER__BACKLOG", "1"), ("APP__server__backlog", "2")];
    let shown = with_environment(&pairs).unwrap_err().to_string();
    assert!(shown.contains("set twice"), "{shown}");
}
