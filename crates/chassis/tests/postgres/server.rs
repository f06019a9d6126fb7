//! A Postgres of the tests' own: in a folder of its own, on a Unix socket there, ended with the last test that uses it. The
//! tests of `template/examples` include this file.

use std::{
    fs,
    os::unix::{fs::chown, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak, mpsc::channel},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User, geteuid},
};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

/// How long anything may take on a busy machine.
const BOUND: Duration = Duration::from_secs(30);

const MISSING: &str = "Postgres is not installed: run `make tools`";

/// Where Debian has the programs, and where others have them.
const PLACES: [&str; 3] = ["/usr/lib/postgresql", "/usr/local", "/usr"];

pub(crate) struct Postgres {
    folder: TempDir,
    process: Mutex<Option<Child>>,
}

impl Postgres {
    /// The one that other tests use at this moment, or a new one: most tests need only a database of their own.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Self::start());
            *shared = Arc::downgrade(&new);
            new
        })
    }

    /// A new one that runs.
    pub(crate) fn start() -> Self {
        let postgres = Self { folder: tempfile::tempdir().expect("a temporary directory"), process: Mutex::default() };
        if let Some(user) = postgres_user() {
            let (user, group) = (user.uid.as_raw(), user.gid.as_raw());
            chown(postgres.folder.path(), Some(user), Some(group)).expect("root may give its folder away");
        }
        let mut initdb = command("initdb");
        initdb.args(["--username=tests", "--auth=trust", "--no-sync", "--locale=C.UTF-8", "-D"]).arg(postgres.data());
        let made = initdb.output().unwrap_or_else(|error| panic!("initdb: {error}"));
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        postgres.resume();
        postgres
    }

    /// The URL of a new, empty database.
    pub(crate) async fn database(&self, name: &str) -> String {
        let mut connection = self.connect("postgres").await;
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        connection.execute(create).await.expect("a database with a new name");
        self.url(name)
    }

    /// Where a database is, also while Postgres is away.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("postgres://tests@localhost/{name}?host={}", self.folder.path().display())
    }

    pub(crate) async fn connect(&self, name: &str) -> PgConnection {
        PgConnection::connect(&self.url(name)).await.expect("Postgres runs")
    }

    /// Ends it at once, as a failure of its host would.
    pub(crate) fn lose(&self) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut child) = process.take() {
            let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process's id"));
            // SIGQUIT: without waiting for its clients. It may have ended.
            let _ = kill(pid, Signal::SIGQUIT);
            let _ = child.wait();
        }
    }

    /// Starts it (again), at the same place and with the same data.
    pub(crate) fn resume(&self) {
        let mut command = command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        command.args([
            "-c",
            "listen_addresses=",
            "-c",
            "fsync=off",
            "-c",
            "max_connections=200",
            "-c",
            "log_connections=on",
        ]);
        let log = fs::File::create(self.log()).expect("a log");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        let child = spawn(command);
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        let deadline = Instant::now() + BOUND;
        while UnixStream::connect(self.socket()).is_err() || !self.is_ready() {
            assert!(Instant::now() < deadline, "Postgres does not start:\n{}", self.said());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// It accepts before it has read its log.
    fn is_ready(&self) -> bool {
        self.said().contains("ready to accept connections")
    }

    /// Where it accepts, and where another may while it is away.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join(".s.PGSQL.5432")
    }

    /// What it has written since its last start; a line for each connection.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.lose();
    }
}

/// One of Postgres's programs, which ends with this process, also where that is killed. As root it runs as `postgres`,
/// since it refuses root.
fn command(program: &str) -> Command {
    let path = find(program).expect(MISSING);
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=QUIT");
    if let Some(user) = postgres_user() {
        command.arg(format!("--reuid={}", user.uid)).arg(format!("--regid={}", user.gid)).arg("--clear-groups");
    }
    // In a folder that it may be in.
    command.arg(path).current_dir("/");
    command
}

/// By a thread that lasts: the kernel takes the end of the thread that spawned a process for that of its parent, and a
/// test's thread ends while other tests use what it started.
fn spawn(mut command: Command) -> Child {
    let (tells, told) = channel();
    thread::spawn(move || {
        tells.send(command.spawn()).expect("its starter waits");
        loop {
            thread::park();
        }
    });
    told.recv().expect("a thread that lasts").unwrap_or_else(|error| panic!("postgres: {error}"))
}

/// Whom to be instead of root.
fn postgres_user() -> Option<User> {
    let user = |name| User::from_name(name).ok().flatten();
    geteuid().is_root().then(|| user("postgres").or_else(|| user("nobody")).expect("a user that is not root"))
}

/// The newest version.
fn find(program: &str) -> Option<PathBuf> {
    let folders = PLACES.iter().flat_map(|place| {
        let versions = fs::read_dir(place).into_iter().flatten().flatten().map(|version| version.path());
        let mut versions: Vec<_> = versions.collect();
        versions.sort();
        versions.into_iter().rev().chain([Path::new(place).to_owned()])
    });
    folders.map(|folder| folder.join("bin").join(program)).find(|path| path.is_file())
}
