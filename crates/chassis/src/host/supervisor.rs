//! The supervisor between the old and the new process during a restart.
//!
//! It starts the new process, waits for it, and exits with its code. Once the restart is decided it is killed, and
//! the new process becomes a child of the service manager. If it were the old process's child, systemd would treat it
//! as foreign for its whole life: `systemctl stop` would kill it at once without a drain (seen with
//! systemd 252: `main_pid_alien` is decided when `MAINPID=` comes, and a main process that is no child is not waited
//! for).
//!
//! It runs the old process's program, whatever is installed meanwhile; it reads nothing and writes no log.
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

/// A shell's exit code for a missing program.
pub(super) const NOT_STARTED: i32 = 127;

/// If this process is the supervisor, it does its work here and exits.
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
    // If the old process dies, the new one continues alone.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let mut told_to_end = signal(SignalKind::terminate())?;
    // The new process would inherit blocked signals, and would miss a stop.
    held.release();
    let Invocation { program, arguments } = Invocation::capture();
    // The descriptors stay open across exec.
    let mut successor = Command::new(program).args(arguments).env_remove(MARK).spawn()?;
    // Not a `Link`: dropping half of one would also close it for the new process.
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
