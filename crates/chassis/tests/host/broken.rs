//! New processes that fail, each in its way: the old one serves on, and the next restart works.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tokio::process::Command;

use crate::{
    harness::{
        eventually, exclusive, free_port,
        load::{Load, Mode},
        local, server, shared,
        tools::{self, is_root},
    },
    line::{Line, gone},
};

/// What stands in the program's place, and how the attempt is counted.
fn broken() -> Vec<(&'static str, String, &'static str)> {
    let (service, fragile) = (server::program().display().to_string(), example("fragile"));
    let ends = |how| format!("APP__APP__END={how} exec {fragile} \"$@\"");
    // The link is the last of the descriptors that are passed, from 3 on.
    let deserts = "link=$((2 + LISTEN_FDS)); echo prepared >&$link; read -r word <&$link; exit 7";
    vec![
        ("exits at once", "exit 1".into(), "exited"),
        ("refuses its settings", format!("APP__SERVER__BACKLOG=0 exec {service} \"$@\""), "bad_settings"),
        ("panics in its start", ends("panic"), "exited"),
        ("aborts in its start", ends("abort"), "exited"),
        ("is killed by a signal", ends("segfault"), "exited"),
        ("ends when it is to accept", deserts.into(), "exited"),
        ("is no successor", "echo hello >&$((2 + LISTEN_FDS)); exec sleep 60".into(), "exited"),
        ("is no program", "\u{7f}ELF".into(), "not_started"),
        ("hangs", ends("hang"), "timed_out"),
        ("hangs and hears no signal", "trap '' TERM INT; sleep 60".into(), "timed_out"),
    ]
}

fn example(name: &str) -> String {
    server::example(name).display().to_string()
}

#[tokio::test]
async fn a_process_that_fails_leaves_the_old_one_serving_and_the_next_restart_works() {
    let _turn = exclusive().await;
    // A backtrace takes a second on a busy machine, and is not what this is about.
    let bounds = [("APP__HOST__UPGRADE_TIMEOUT", "3s"), ("APP__LIFECYCLE__START_TIMEOUT", "3s")];
    let settings = [bounds[0], bounds[1], ("RUST_BACKTRACE", "0")];
    let mut line = Line::start(&settings).await;
    let old = line.pid();
    let loads = [Mode::KeepAlive, Mode::NewConnection, Mode::ThinkTime(Duration::from_millis(50))]
        .map(|mode| Load::start(line.app, 8, mode, "/whoami"));
    for (what, script, outcome) in broken() {
        let before = line.attempts(outcome).await;
        line.install_script(&script);
        line.signal(Signal::SIGUSR2);
        line.holds(what, async || (line.attempts(outcome).await > before).then_some(())).await;
        assert_eq!(line.pid_file(), Some(old), "a process that {what} took the PID file");
    }
    // What was started is gone, the hanging ones too.
    for pid in line.log().lines().filter_map(started) {
        gone(pid).await;
    }
    line.install(server::program());
    line.restart().await;
    for load in loads {
        let outcomes = load.stop().await;
        println!("10 broken programs: {outcomes}");
        assert_eq!(outcomes.failed(), 0, "{outcomes}; the log:\n{}", line.log());
    }
    assert_eq!(line.stop().await, [0, 0]);
}

/// The id of a new process, from the log of the old one.
fn started(text: &str) -> Option<i32> {
    let line: serde_json::Value = serde_json::from_str(text).ok()?;
    let id = line["successor"].as_i64().filter(|_| line["message"] == "the new process is starting")?;
    i32::try_from(id).ok()
}

#[tokio::test]
async fn a_program_that_is_missing_leaves_the_old_one_serving() {
    let _turn = shared().await;
    let line = Line::start(&[]).await;
    std::fs::remove_file(line.path("server")).expect("removing the program");
    line.signal(Signal::SIGUSR2);
    line.holds("an attempt", async || (line.attempts("not_started").await == 1).then_some(())).await;
    assert_eq!(line.stop().await, [0]);
}

#[tokio::test]
async fn one_restart_at_a_time() {
    let _turn = shared().await;
    // The new process waits for its drill to end; the old one's has long ended.
    let mut line = Line::start(&[("APP__FAULTS__UNREADY_FOR", "1s")]).await;
    let old = line.pid();
    let asked = Instant::now();
    line.signal(Signal::SIGUSR2);
    line.logs("the new process is starting").await;
    line.signal(Signal::SIGUSR2);
    line.holds("a refusal", async || (line.attempts("refused").await == 1).then_some(())).await;
    let successor = line.holds("a successor", async || line.pid_file().filter(|pid| *pid != old)).await;
    assert!(asked.elapsed() > Duration::from_millis(900), "it took over before it was ready: {:?}", asked.elapsed());
    line.pids.push(successor);
    assert_eq!(line.log().matches("the new process is starting").count(), 1, "{}", line.log());
    assert_eq!(line.stop().await, [0, 0]);
}

#[tokio::test]
async fn sigterm_in_a_restart_ends_both_processes() {
    let _turn = shared().await;
    let line = Line::start(&[]).await;
    line.install_script(&format!("APP__FAULTS__UNREADY_FOR=1m exec {} \"$@\"", server::program().display()));
    line.signal(Signal::SIGUSR2);
    line.logs("the new process is starting").await;
    let successor = line.log().lines().find_map(started).expect("its id");
    let codes = {
        let pid = line.pid();
        line.signal(Signal::SIGTERM);
        line.exit_code(pid).await
    };
    assert_eq!(codes, 0, "{}", line.log());
    gone(successor).await;
}

#[tokio::test]
async fn a_new_process_takes_over_from_one_that_died() {
    let _turn = shared().await;
    let mut line = Line::start(&[("APP__FAULTS__UNREADY_FOR", "1s")]).await;
    line.signal(Signal::SIGUSR2);
    line.logs("the new process is starting").await;
    line.signal(Signal::SIGKILL);
    let old = line.pid();
    let successor = line.holds("a successor", async || line.pid_file().filter(|pid| *pid != old)).await;
    line.pids.push(successor);
    assert_eq!(crate::harness::http::get(line.app, "/whoami").await.expect("an answer").status, 200);
    assert_eq!(line.stop().await, [128 + 9, 0]);
}

/// Asks process 1 of a PID namespace for a restart, which it refuses, and then stops it.
const ASK_PROCESS_1: &str = r#"
(
    until curl --silent --fail "http://$ADMIN/readyz" >/dev/null; do :; done
    kill -USR2 1
    until curl --silent "http://$ADMIN/metrics" | grep -q 'host_upgrades_total{outcome="refused"} 1'; do :; done
    curl --silent --fail "http://$APP/whoami"
    kill -TERM 1
) &
exec "$0"
"#;

#[tokio::test]
async fn process_1_refuses_a_restart_and_serves_on() {
    let _turn = shared().await;
    let (app, admin) = (local(free_port()).to_string(), local(free_port()).to_string());
    let listen = format!("http://{app}");
    let mut command = server::command(&tools::find("unshare"), &server::SETTINGS);
    command.envs([("APP", &app), ("ADMIN", &admin), ("APP__SERVER__LISTEN", &listen), ("APP__ADMIN__LISTEN", &admin)]);
    if !is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--pid", "--fork", "--kill-child", "sh", "-c", ASK_PROCESS_1]).arg(server::program());
    let done = ended(command).await;
    assert_eq!(done.code, 0, "{}", done.text);
    for part in ["process 1 cannot restart", "\"replica\"", "\"drained\":true"] {
        assert!(done.text.contains(part), "no {part} in:\n{}", done.text);
    }
}

async fn ended(command: Command) -> tools::Output {
    for tool in ["curl", "unshare"] {
        assert!(Path::new(&tools::find(tool)).exists());
    }
    tools::output(command, "", Duration::from_secs(30)).await
}

/// The test above would pass with programs that never ran.
#[tokio::test]
async fn the_broken_programs_are_broken_as_they_say() {
    let _turn = shared().await;
    for (end, code) in [("panic", 1), ("abort", 128 + 6), ("segfault", 128 + 11)] {
        let mut command = server::command(&server::example("fragile"), &server::SETTINGS);
        command.env("APP__APP__END", end);
        let done = tools::output(command, "", Duration::from_secs(20)).await;
        assert_eq!(done.code, code, "{end}: {}", done.text);
    }
    let hanging = async || {
        let mut command = server::command(&server::example("fragile"), &server::SETTINGS);
        command.env("APP__APP__END", "hang").kill_on_drop(true);
        command.spawn().ok()
    };
    let mut child = eventually("a process", Duration::from_secs(5), hanging).await;
    assert!(tokio::time::timeout(Duration::from_millis(500), child.wait()).await.is_err(), "it does not hang");
}
