//! gunicorn with the battery app in its workers, as the doors' battery asks for a front.

use std::{
    net::SocketAddr,
    os::unix::fs::symlink,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::process::{Child, Command};

use crate::{
    door::{Around, Carrier, Door, Front, Protocol},
    harness::{Scratch, free_port, http, local, log::collect, server, tools, within},
};

/// One worker that imports the app, and one whose parent has imported it.
const DOORS: [(Door, &str); 2] = [(door("gunicorn"), "--timeout=60"), (door("gunicorn-preload"), "--preload")];

const fn door(name: &'static str) -> Door {
    // gunicorn has this of Apache: it looks after its client only when it writes to it.
    let front = Front::Apache;
    Door { name, front, protocol: Protocol::Http, carrier: Carrier::Tcp, keep: false, around: Around::Nothing }
}

/// gunicorn in each of its ways.
pub(crate) struct Fronts {
    pub(crate) server: Log,
    hosts: Vec<(Door, Gunicorn)>,
}

/// What all of them said.
#[derive(Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn log(&self) -> String {
        self.0.lock().expect("the log").join("\n")
    }
}

impl Fronts {
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let server = Log::default();
        let mut hosts = Vec::new();
        for (door, argument) in DOORS {
            hosts.push((door, Gunicorn::start("battery", &[argument], settings, &server).await));
        }
        Self { server, hosts }
    }

    /// Every door and where clients go.
    pub(crate) fn doors(&self) -> impl Iterator<Item = (Door, SocketAddr)> {
        self.hosts.iter().map(|(door, host)| (*door, host.address))
    }
}

/// A gunicorn with one worker. Dropping it kills it.
pub(crate) struct Gunicorn {
    pub(crate) address: SocketAddr,
    pub(crate) child: Child,
    _scratch: Scratch,
}

impl Gunicorn {
    /// Serves `application` of `module`.
    pub(crate) async fn start(module: &str, arguments: &[&str], settings: &[(&str, &str)], log: &Log) -> Self {
        let scratch = Scratch::new("gunicorn");
        let address = local(free_port());
        let mut command = python(&scratch);
        command.args(["-m", "gunicorn", "--bind", &address.to_string(), "--worker-class=gthread", "--threads=8"]);
        command
            .args(["--no-control-socket", "--graceful-timeout=5"])
            .args(arguments)
            .arg(format!("{module}:application"));
        command.envs(settings.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starting gunicorn");
        collect(child.stdout.take().expect("a piped standard output"), Arc::clone(&log.0));
        collect(child.stderr.take().expect("a piped standard error"), Arc::clone(&log.0));
        let answers = async || http::get(address, "/healthz").await.ok().filter(|answer| answer.status == 200);
        assert!(within(Duration::from_secs(30), answers).await.is_some(), "gunicorn does not answer:\n{}", log.log());
        Self { address, child, _scratch: scratch }
    }
}

/// The Python of `template/scripts/wsgi-tools`, with the guests' modules on its path, at home in `scratch`.
pub(crate) fn python(scratch: &Scratch) -> Command {
    let python = tools::repository().join(".tools/wsgi-python/bin/python");
    assert!(python.is_file(), "{} not found: run template/scripts/wsgi-tools", python.display());
    for (library, module) in [("libguest.so", "service.so"), ("examples/libbattery.so", "battery.so")] {
        symlink(built(library), scratch.path().join(module)).expect("a module on Python's path");
    }
    let mut command = Command::new(python);
    // Its children, the workers, end with it.
    command.kill_on_drop(true).current_dir(scratch.path());
    command.env("PYTHONPATH", scratch.path()).env("HOME", scratch.path());
    command
        .env("APP__SERVER__MAX_BODY", "128MiB")
        .env("APP__TELEMETRY__LOG_FORMAT", "json")
        .env("APP__TELEMETRY__ACCESS_LOG", "false");
    command
}

/// What `make wsgi-guest` builds beside the tests.
fn built(library: &str) -> PathBuf {
    let path = server::program().with_file_name(library);
    assert!(path.is_file(), "{} not found: run `make wsgi-guest`", path.display());
    path
}
