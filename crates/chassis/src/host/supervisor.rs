//! The process between an old one and its successor, for as long as a restart is undecided.
//!
//! It starts the successor, waits for it, and ends with its exit code. When the restart is decided it is killed, and
//! the successor becomes a child of the service manager. Were it the old process's own child, systemd would take it
//! for a stranger as long as it lives: `systemctl stop` then kills it at once and no drain takes place (seen with
//! systemd 252: `main_pid_alien` is decided when `MAINPID=` comes, and a main process that is no child is not waited
//! for).
//!
//! It runs the old process's own program, whatever is installed meanwhile; nothing is read and no log is written.
//!
//! Next: [`super::upgrade`].

use std::{
    io::{self, Write},
    os::unix::process::ExitStatusExt,
    process::{self, ExitStatus},
};

use nix::sys::{prctl, signal::Signal};
use tokio::{
    process::Command,
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use super::{link::STARTED, passed::Passed};
use crate::process::{Environment, HeldSignals, Invocation};

/// Set for this process only.
pub(super) const MARK: &str = "LISTEN_BETWEEN";

/// A shell's code for a program that is not there.
pub(super) const NOT_STARTED: i32 = 127;

/// Where this process is one between two, it does its work here and ends.
pub(crate) fn fork_supervisor(environment: &Environment, held: HeldSignals) -> HeldSignals {
    if environment.get(MARK).is_some() {
        let runtime = Builder::new_current_thread().enable_all().build();
        let ended = runtime.and_then(|runtime| runtime.block_on(stand(environment, held)));
        process::exit(ended.unwrap_or_else(|error| {
            eprintln!("starting the new process: {error}");
            NOT_STARTED
        }));
    }
    held
}

async fn stand(environment: &Environment, held: HeldSignals) -> io::Result<i32> {
    // Where the old process dies, the successor is on its own.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let mut told_to_end = signal(SignalKind::terminate())?;
    // The successor inherits what is held, and would hear of no stop.
    held.release();
    let Invocation { program, arguments } = Invocation::capture();
    // The descriptors stay open over an exec.
    let mut successor = Command::new(program).args(arguments).env_remove(MARK).spawn()?;
    // No `Link`: where a half of one goes, it ends the conversation for the successor too.
    if let (Some(pid), Some(mut stream)) = (successor.id(), Passed::take(environment).link()?) {
        stream.write_all(format!("{STARTED} {pid}\n").as_bytes())?;
    }
    tokio::select! {
        status = successor.wait() => Ok(code(status?)),
        _ = told_to_end.recv() => {
            successor.kill().await?;
            Ok(code(ExitStatus::from_raw(Signal::SIGKILL as i32)))
        }
    }
}

/// As a shell gives it: the code, or 128 and the signal.
fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1)
}
