//! A clone's program, running.

use std::{
    io::{BufRead, BufReader, Lines, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

/// A clone's program, on ports that were free. It ends with this.
pub(crate) struct Server {
    child: Child,
    app: String,
    admin: String,
    /// Open, so that it can go on writing.
    _log: Lines<BufReader<ChildStdout>>,
}

impl Server {
    pub(crate) fn start(clone: &Path) -> Self {
        let mut command = Command::new(clone.join("target/debug/server"));
        command.env("APP__SERVER__LISTEN", "http://127.0.0.1:0").env("APP__ADMIN__LISTEN", "127.0.0.1:0");
        command.env("APP__TELEMETRY__LOG_FORMAT", "json").stdout(Stdio::piped());
        let mut child = command.spawn().expect("a program that was built");
        let mut log = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        // Both are said once it listens; the log of one that does not start ends.
        let (mut app, mut admin) = (None, None);
        for line in log.by_ref().map_while(Result::ok) {
            app = app.or_else(|| address(&line, "app"));
            admin = admin.or_else(|| address(&line, "admin"));
            if app.is_some() && admin.is_some() {
                break;
            }
        }
        Self { child, app: app.expect("the app's listener"), admin: admin.expect("the admin listener"), _log: log }
    }

    /// All that it answers, head and body.
    pub(crate) fn get(&self, path: &str) -> String {
        get(&self.app, path)
    }

    /// The engine's version, as `build_info` names it.
    pub(crate) fn engine(&self) -> String {
        let metrics = get(&self.admin, "/metrics");
        let (_, rest) = metrics.split_once("chassis_version=\"").expect("build_info");
        rest.split('"').next().unwrap().to_owned()
    }
}

/// Where the listener of that name is, if this line of the log says it.
fn address(line: &str, listener: &str) -> Option<String> {
    let (_, rest) = line.split_once(&format!("\"listener\":\"{listener}\",\"url\":\"http://"))?;
    rest.split('"').next().map(str::to_owned)
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
