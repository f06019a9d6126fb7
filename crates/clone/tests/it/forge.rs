//! A repository of the template as on a forge: reached by its URL, here served on loopback by git's own server.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use super::harness::{Folder, environment, good, origin, repository};

/// The remote `origin` of a template. Its URL is the same in each run; git is told where that is.
pub(crate) struct Forge {
    daemon: Child,
    pub(crate) url: String,
    bare: PathBuf,
    name: String,
}

impl Forge {
    /// Of `template` in `folder`; `name` is the test's.
    pub(crate) fn of(folder: &Folder, template: &Path, name: &str) -> Self {
        let bare = origin(template);
        let (daemon, port) = serve(&folder.0);
        // Its last part names it in cargo's cache.
        let name = format!("clone-test{}-{name}", repository().to_str().unwrap().replace('/', "-"));
        let url = format!("https://forge.example/{name}.git");
        let place = format!("url.git://127.0.0.1:{port}/engine.git.insteadOf");
        environment(&[
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", &place),
            ("GIT_CONFIG_VALUE_0", &url),
            ("CARGO_NET_GIT_FETCH_WITH_CLI", "true"),
        ]);
        good(template, "git", &["remote", "set-url", "origin", &url]);
        Self { daemon, url, bare, name }
    }

    pub(crate) fn push(&self, template: &Path) {
        good(template, "git", &["push", "--quiet", self.bare.to_str().unwrap(), "main"]);
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        drop(self.daemon.kill());
        drop(self.daemon.wait());
        // What cargo keeps of it.
        let home = cargo_home();
        for part in ["git/db", "git/checkouts"] {
            for entry in fs::read_dir(home.join(part)).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(&self.name) {
                    drop(fs::remove_dir_all(entry.path()));
                }
            }
        }
    }
}

fn cargo_home() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").expect("HOME")).join(".cargo");
    env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}

fn serve(folder: &Path) -> (Child, u16) {
    // It takes no port 0: one that was free a moment ago, and another try where it no longer is.
    for _ in 0..10 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if let Some(child) = start(folder, port) {
            return (child, port);
        }
    }
    panic!("git daemon does not start");
}

fn start(folder: &Path, port: u16) -> Option<Child> {
    // The server itself, as `git daemon` would leave it behind.
    let program = PathBuf::from(good(folder, "git", &["--exec-path"]).trim_end()).join("git-daemon");
    let mut child = Command::new(program)
        .args(["--verbose", "--export-all", "--listen=127.0.0.1", &format!("--port={port}")])
        .arg(format!("--base-path={}", folder.display()))
        .stderr(Stdio::piped())
        .spawn()
        .expect("git-daemon, which is a part of Debian's git");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    if lines.any(|line| line.contains("Ready to rumble")) {
        // Read on, so that it can go on writing.
        thread::spawn(move || lines.for_each(drop));
        return Some(child);
    }
    drop(child.wait());
    None
}
