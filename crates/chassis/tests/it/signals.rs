//! A stop signal at any time after the first line of `main` ends a start with code 0, and a line that says so.
//!
//! Before `main` the kernel decides: it ends the process, and drops the signal of a process 1. So each start waits until
//! `/proc` shows that the program keeps SIGTERM back or has a handler for it.

use std::{
    fs,
    path::Path,
    process::{Command as Blocking, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::{Child, Command};

use crate::harness::{Scratch, at, eventually, exclusive, number, server, shared, tools};

/// How long a start or an end may take on a busy machine.
const BOUND: Duration = Duration::from_secs(20);

/// Its end is the subject: no delay for endpoints that nobody watches.
const SETTINGS: [(&str, &str); 1] = [("APP__LIFECYCLE__DRAIN_DELAY", "10ms")];

/// 5 to 45 ms after the start: from the command line to an open listener, and a little beyond.
fn moment(number: u64, of: u64) -> Duration {
    Duration::from_millis(5) + Duration::from_millis(40) * u32::try_from(number).unwrap() / u32::try_from(of).unwrap()
}

#[tokio::test]
async fn a_stop_signal_during_the_start_ends_with_code_zero_and_a_line() {
    let _turn = exclusive().await;
    let starts = number("SIGNAL_STARTS", 40);
    for start in 0..starts {
        let signal = if start % 4 == 3 { Signal::SIGINT } else { Signal::SIGTERM };
        let command = server::command(server::program(), &[&server::SETTINGS[..], &SETTINGS].concat());
        assert_ends(command, |child| child, moment(start, starts), signal).await;
    }
}

/// The kernel drops what a process 1 has no handler for, unless it is held.
#[tokio::test]
async fn a_stop_signal_during_the_start_as_process_one_is_not_lost() {
    let _turn = exclusive().await;
    let starts = number("SIGNAL_STARTS", 40);
    for start in 0..starts {
        let mut command = server::command(&tools::find("unshare"), &[&server::SETTINGS[..], &SETTINGS].concat());
        if !tools::is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--pid", "--fork", "--mount-proc"]).arg(server::program());
        assert_ends(command, only_child, moment(start, starts), Signal::SIGTERM).await;
    }
}

#[tokio::test]
async fn a_stop_signal_ends_a_start_whose_settings_file_hangs() {
    let _turn = shared().await;
    let scratch = Scratch::new("hangs");
    let file = scratch.path().join("settings.toml");
    assert!(Blocking::new("mkfifo").arg(&file).status().expect("running mkfifo").success());
    let mut command = server::command(server::program(), &server::SETTINGS);
    command.arg("--config").arg(&file);
    let output = assert_ends(command, |child| child, Duration::from_millis(5), Signal::SIGTERM).await;
    assert!(output.contains("while reading the settings"), "{output}");
}

/// `healthcheck`, `check` and the like serve nobody: they end by the signal, as any tool.
#[tokio::test]
async fn a_subcommand_ends_by_the_signal() {
    let _turn = shared().await;
    let scratch = Scratch::new("hangs");
    let file = scratch.path().join("settings.toml");
    assert!(Blocking::new("mkfifo").arg(&file).status().expect("running mkfifo").success());
    let mut command = server::command(server::program(), &server::SETTINGS);
    let mut child = command.arg("check").arg("--config").arg(&file).spawn().expect("starting");
    // Opening the other end succeeds once the program reads.
    let write_end = tokio::task::spawn_blocking(move || fs::OpenOptions::new().write(true).open(file));
    let _held = tokio::time::timeout(BOUND, write_end).await.expect("the file is read").unwrap().expect("opening it");
    kill(pid(&child), Signal::SIGTERM).expect("signalling");
    let status = tokio::time::timeout(BOUND, child.wait()).await.expect("ended").expect("waiting");
    assert_eq!(server::code(status), 128 + Signal::SIGTERM as i32);
}

/// Starts `command`, signals the process that `of` finds, no earlier than `after` its start and not before `main`.
/// Returns what it wrote.
async fn assert_ends(mut command: Command, of: fn(Pid) -> Pid, after: Duration, signal: Signal) -> String {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let begun = Instant::now();
    let child = command.spawn().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
    let started = pid(&child);
    at(begun + after).await;
    let server = eventually("the program is in main", BOUND, async || {
        let server = of(started);
        is_in_main(server).then_some(server)
    })
    .await;
    kill(server, signal).expect("signalling");
    let ended = tokio::time::timeout(BOUND, child.wait_with_output()).await;
    let output = ended.unwrap_or_else(|_| panic!("{signal} {after:?} after the start was lost")).expect("waiting");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert_eq!(server::code(output.status), 0, "{signal} {after:?} after the start: {text}");
    assert!(text.contains("stop signal received") || text.contains("draining"), "no line of it: {text}");
    text
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().expect("a running child").try_into().expect("a process id"))
}

/// What `unshare --fork` started; itself where it has not yet.
fn only_child(parent: Pid) -> Pid {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    children.split_whitespace().next().map_or(parent, |child| Pid::from_raw(child.parse().expect("a process id")))
}

/// Whether the program itself runs, and SIGTERM is held or has a handler.
fn is_in_main(pid: Pid) -> bool {
    let runs = fs::read_link(format!("/proc/{pid}/exe"))
        .is_ok_and(|exe| exe.file_name() == Path::new(server::program()).file_name());
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let has = |name: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
        u64::from_str_radix(mask.trim(), 16).expect("a mask") & (1 << (Signal::SIGTERM as u32 - 1)) != 0
    };
    runs && (has("SigBlk:") || has("SigCgt:"))
}
