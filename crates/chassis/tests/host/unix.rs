//! Unix sockets in restarts: one file from the first process to the last.

use std::{
    fs,
    os::unix::{fs::MetadataExt, net::UnixListener},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    task::JoinSet,
};

use crate::{
    harness::{Scratch, eventually, exclusive, server, shared},
    line::Line,
};

/// The status line of an answer over the socket at `path`.
async fn ask(path: &Path) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(path).await?;
    stream.write_all(b"GET /whoami HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

const OK: &str = "HTTP/1.1 200 OK";

/// Clients that open a connection for each request, and what they were told instead of an answer.
struct Clients {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    tasks: JoinSet<Vec<String>>,
}

impl Clients {
    fn start(count: usize, path: &Path) -> Self {
        let (stop, answered, mut tasks) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), JoinSet::new());
        for _ in 0..count {
            let (stop, answered, path) = (Arc::clone(&stop), Arc::clone(&answered), path.to_owned());
            tasks.spawn(async move {
                let mut failures = Vec::new();
                while !stop.load(Relaxed) {
                    match ask(&path).await {
                        Ok(status) if status == OK => drop(answered.fetch_add(1, Relaxed)),
                        other => failures.push(format!("{other:?}")),
                    }
                    tokio::task::yield_now().await;
                }
                failures
            });
        }
        Self { stop, answered, tasks }
    }

    async fn more(&self, count: u64) {
        let before = self.answered.load(Relaxed);
        let enough = async || (self.answered.load(Relaxed) >= before + count).then_some(());
        eventually("answers", Duration::from_secs(20), enough).await;
    }

    async fn stop(self) -> (u64, Vec<String>) {
        self.stop.store(true, Relaxed);
        let failures = self.tasks.join_all().await.concat();
        (self.answered.load(Relaxed), failures)
    }
}

fn listen(path: &Path) -> String {
    format!("http://127.0.0.1:0,http+unix://{}", path.display())
}

async fn line(path: &Path, settings: &[(&str, &str)]) -> Line {
    let listen = listen(path);
    let mut all = vec![("APP__SERVER__LISTEN", &*listen), ("APP__LIFECYCLE__DRAIN_DELAY", "100ms")];
    all.extend_from_slice(settings);
    Line::start(&all).await
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).expect("the socket's file").ino()
}

fn place() -> (Scratch, PathBuf) {
    let scratch = Scratch::new("unix");
    let path = scratch.path().join("app.sock");
    (scratch, path)
}

#[tokio::test]
async fn a_unix_socket_is_handed_over_and_its_file_stays_until_the_last_process_ends() {
    let _turn = exclusive().await;
    let (_scratch, path) = place();
    let mut line = line(&path, &[]).await;
    let file = inode(&path);
    let clients = Clients::start(8, &path);
    for turn in 0..4 {
        clients.more(100).await;
        line.restart().await;
        assert_eq!(line.exit_code(line.pids[0]).await, 0, "restart {turn}");
        line.pids.remove(0);
        assert_eq!(inode(&path), file, "restart {turn}: another file");
    }
    clients.more(100).await;
    let (answered, failures) = clients.stop().await;
    println!("4 restarts, a Unix socket: {answered} ok, {} failed", failures.len());
    assert!(failures.is_empty(), "{failures:?}; the log:\n{}", line.log());
    assert_eq!(line.stop().await, [0]);
    assert!(!path.exists(), "the file stays behind a full stop");
}

#[tokio::test]
async fn a_successor_that_fails_leaves_the_file_to_the_old_process() {
    let _turn = shared().await;
    let (_scratch, path) = place();
    let line = line(
        &path,
        &[("RUST_BACKTRACE", "0"), ("APP__HOST__UPGRADE_TIMEOUT", "3s"), ("APP__LIFECYCLE__START_TIMEOUT", "3s")],
    )
    .await;
    let fragile = server::example("fragile").display().to_string();
    // It has the socket when it panics, and what it drops then is that.
    let scripts =
        [format!("APP__APP__END=panic exec {fragile} \"$@\""), format!("APP__SERVER__BACKLOG=0 exec {fragile} \"$@\"")];
    for (script, outcome) in scripts.iter().zip(["exited", "bad_settings"]) {
        line.install_script(script);
        line.signal(Signal::SIGUSR2);
        line.holds(outcome, async || (line.attempts(outcome).await > 0).then_some(())).await;
        assert_eq!(ask(&path).await.expect("an answer"), OK, "{outcome}");
    }
    assert_eq!(line.stop().await, [0]);
    assert!(!path.exists(), "the file stays behind a full stop");
}

#[tokio::test]
async fn a_socket_whose_file_is_gone_is_bound_anew() {
    let _turn = shared().await;
    let (_scratch, path) = place();
    let mut line = line(&path, &[]).await;
    fs::remove_file(&path).expect("removing the file");
    line.restart().await;
    assert_eq!(ask(&path).await.expect("an answer"), OK);
    assert_eq!(line.exit_code(line.pids[0]).await, 0);
    assert_eq!(ask(&path).await.expect("the old process took the new file with it"), OK);
    line.pids.remove(0);
    assert_eq!(line.stop().await, [0]);
    assert!(!path.exists());
}

#[tokio::test]
async fn another_mode_holds_from_the_restart_on() {
    let _turn = shared().await;
    let (scratch, path) = place();
    let settings = |mode| format!("[server]\nunix_mode = \"{mode}\"\n");
    let file = scratch.write("settings.toml", &settings("0600"));
    let listen = listen(&path);
    let all = [("APP__SERVER__LISTEN", &*listen)];
    let mut line = Line::start_program(server::program(), &all, |command| {
        command.arg("--config").arg(&file);
    })
    .await;
    let mode = || fs::symlink_metadata(&path).expect("the socket's file").mode() & 0o777;
    assert_eq!(mode(), 0o600);
    let before = inode(&path);
    fs::write(&file, settings("0660")).expect("writing the settings");
    line.restart().await;
    assert_eq!((mode(), inode(&path)), (0o660, before));
}

#[tokio::test]
async fn a_unix_socket_that_a_service_manager_holds_is_taken_handed_on_and_left_in_its_place() {
    let _turn = shared().await;
    let (_scratch, path) = place();
    let socket = UnixListener::bind(&path).expect("binding");
    let passed = [("web", socket.try_clone().expect("a second handle").into())];
    let mut line = crate::activation::activated("http://127.0.0.1:0,http+fd://web", passed, &[]).await;
    assert_eq!(ask(&path).await.expect("an answer"), OK);
    line.restart().await;
    assert_eq!(ask(&path).await.expect("an answer"), OK);
    assert_eq!(line.stop().await, [0, 0]);
    assert!(path.exists(), "the file is the service manager's");
}
