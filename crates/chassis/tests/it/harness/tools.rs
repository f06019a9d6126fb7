//! Programs that the tests drive. A missing one is a failure that says what to do, never a skip.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

/// The repository's root.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).expect("crates/chassis/tests of a repository").to_owned()
}

/// Where `name` is: on PATH, where Debian keeps daemons, or where `make tools` puts things.
pub(crate) fn find(name: &str) -> PathBuf {
    let own = repository().join(".tools");
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into(), own.join("bin"), own.join("rotel/rotel")])
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("{name} not found: run `make tools`"))
}

/// Whether the tests run as root: our own directory in /proc belongs to the user we run as.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").expect("reading /proc").uid() == 0
}

/// What a finished program said.
pub(crate) struct Output {
    /// The exit code; 128 and the signal where one killed it.
    pub(crate) code: i32,
    /// Standard output and standard error, in this order.
    pub(crate) text: String,
}

/// Runs the tool `name` to its end.
pub(crate) async fn run(name: &str, arguments: &[&str]) -> Output {
    run_with_input(name, arguments, "").await
}

/// Runs the tool `name` to its end, with `input` on its standard input.
pub(crate) async fn run_with_input(name: &str, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(find(name));
    command.args(arguments);
    output(command, input, Duration::from_mins(2)).await
}

/// Runs `command` to its end; panics after `bound`.
pub(crate) async fn output(mut command: Command, input: &str, bound: Duration) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("a piped standard input");
    let work = async {
        // A program that does not read its input may be gone already.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        child.wait_with_output().await
    };
    let done = timeout(bound, work).await.unwrap_or_else(|_| panic!("still runs after {bound:?}: {command:?}"));
    let done = done.expect("waiting for a child");
    let text = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Output { code: super::server::code(done.status), text }
}
