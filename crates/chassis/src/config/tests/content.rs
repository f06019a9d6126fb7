//! Values in files that variables name.

use std::{os::unix::fs::symlink, process::Command};

use super::*;
use crate::{
    config::{Live, Reload},
    process::Watcher,
};

fn named(directory: &Directory, content: &str) -> (&'static str, String) {
    ("APP__APP__TOKEN__FILE", directory.write("token", content).display().to_string())
}

fn load_with(pairs: &[(&str, &str)]) -> Result<Loaded<App>, String> {
    with_environment(pairs).map_err(|errors| errors.to_string())
}

#[test]
fn a_file_gives_its_content_without_the_newline_at_its_end() {
    let directory = Directory::new();
    for (content, expected) in [
        ("s3cret", "s3cret"),
        ("s3cret\n", "s3cret"),
        ("s3cret\r\n", "s3cret"),
        ("\u{feff}s3cret\r\n", "s3cret"),
        ("a\n\n", "a\n"),
        ("", ""),
    ] {
        let (name, path) = named(&directory, content);
        assert_eq!(settings(&[(name, &path)]).app.token.expose(), expected);
    }
}

#[test]
fn its_content_is_read_as_the_variable_would_be() {
    let directory = Directory::new();
    let path = directory.write("ports", "80,81\n").display().to_string();
    assert_eq!(settings(&[("APP__APP__PORTS__FILE", &path)]).app.ports, [80, 81]);
    let label = settings(&[("APP__APP__LABELS__TEAM__FILE", &path), ("APP__APP__LABELS__FILE", "text")]);
    assert_eq!(label.app.labels["team"], "80,81");
    // A key that is called `file` is a key.
    assert_eq!(label.app.labels["file"], "text");
    let wrong = directory.write("wrong", "hunter2").display().to_string();
    let refused = load_with(&[("APP__APP__LIMITS__BURST__FILE", &wrong)]).unwrap_err();
    assert!(refused.contains("app.limits.burst: expected a whole number"), "{refused}");
    assert!(refused.contains("APP__APP__LIMITS__BURST__FILE") && !refused.contains("hunter2"), "{refused}");
}

#[test]
fn a_file_that_cannot_be_used_is_refused_by_name() {
    let directory = Directory::new();
    let write = |name: &str, content: &[u8]| {
        let path = directory.write(name, "");
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (path, said) in [
        (String::new(), "expected the path of a file"),
        (directory.path().join("none").display().to_string(), "its file does not exist"),
        (directory.path().display().to_string(), "its file is not a regular file"),
        (pipe.display().to_string(), "its file is not a regular file"),
        (write("bytes", b"\xff\xfe"), "its file is UTF-16 text; save it as UTF-8"),
        (write("latin", b"a\nb\xe9"), "its file is not UTF-8 text, at line 2"),
        (write("large", &vec![b'x'; 1024 * 1024 + 1]), "its file is larger than 1MiB"),
    ] {
        let refused = load_with(&[("APP__APP__TOKEN__FILE", &path)]).unwrap_err();
        let expected = format!("app.token: {said} (environment variable APP__APP__TOKEN__FILE)");
        assert_eq!(refused.trim(), expected);
    }
}

#[test]
fn a_key_is_set_by_itself_or_by_a_file_but_not_by_both() {
    let directory = Directory::new();
    let (name, path) = named(&directory, "hunter2");
    let refused = load_with(&[(name, &path), ("APP__APP__TOKEN", "other")]).unwrap_err();
    assert!(refused.contains("app.token: set twice: directly and by a file"), "{refused}");
    let unknown = load_with(&[("APP__APP__TOKN__FILE", &path)]).unwrap_err();
    assert!(unknown.contains("did you mean app.token?"), "{unknown}");
}

#[test]
fn a_rotated_secret_is_seen_and_waits_for_a_restart_where_its_key_does() {
    let directory = Directory::new();
    // As a kubelet lays a Secret out: the directory that a link names is swapped.
    let (one, two) = (directory.path().join("1"), directory.path().join("2"));
    for (of, token, filter) in [(&one, "old", "info"), (&two, "new", "debug")] {
        fs::create_dir(of).unwrap();
        fs::write(of.join("token"), token).unwrap();
        fs::write(of.join("filter"), filter).unwrap();
    }
    let data = directory.path().join("data");
    symlink(&one, &data).unwrap();
    let file = |name: &str| data.join(name).display().to_string();
    let pairs = [("APP__APP__TOKEN__FILE", file("token")), ("APP__TELEMETRY__LOG_FILTER__FILE", file("filter"))];
    let pairs: Vec<_> = pairs.iter().map(|(name, path)| (*name, path.as_str())).collect();
    let sources = sources(&pairs, &[]);
    let mut watcher = Watcher::new(sources.paths());
    let loaded = load(&sources).unwrap();
    let live: Live<App> = Live::new(sources, loaded);
    assert!(!watcher.changed());

    fs::remove_file(&data).unwrap();
    assert!(watcher.changed());
    let Reload::Refused(errors) = live.reload() else { panic!("not refused without its files") };
    assert_eq!(errors.len(), 2, "{errors}");
    symlink(&two, &data).unwrap();
    assert!(watcher.changed());
    let Reload::Applied { restart_pending, .. } = live.reload() else { panic!("not applied") };
    assert_eq!(restart_pending, ["app.token"]);
    assert_eq!(live.get().telemetry.log_filter, "debug");
    assert_eq!(live.get().app.token.expose(), "old");
}
