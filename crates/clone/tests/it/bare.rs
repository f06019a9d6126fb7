//! A clone without the sample app, and its first route.

use std::{
    env, fs,
    io::{BufRead, BufReader, Lines, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use super::harness::{
    Folder, cargo, cargo_with, chart_is_good, clone, good, pages_are_good, repository, template, text,
};

#[test]
fn the_documented_first_route_fits_a_bare_clone() {
    let folder = Folder::new("bare");
    let template = template(&folder);
    let target = folder.0.join("orders");
    let done = clone(&template, &["orders", target.to_str().unwrap(), "--bare"]);
    assert!(done.status.success(), "{}", text(&done));
    let page = fs::read_to_string(repository().join("docs/first-route.md")).unwrap();
    let diff = page.split("```diff\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a diff");
    assert!(diff.lines().count() < 40, "{} lines", diff.lines().count());
    fs::write(folder.0.join("diff"), diff).unwrap();
    good(&target, "git", &["apply", "../diff"]);
    cargo(&target, &["fmt", "--all", "--check"]);
    chart_is_good(&target);
    pages_are_good(&target);
    cargo(&target, &["clippy", "--quiet", "--locked", "--offline", "--all-targets", "--", "-D", "warnings"]);
    cargo(&target, &["build", "--quiet", "--locked", "--offline", "--bin", "server"]);
    let printed = good(&target, "target/debug/server", &["openapi"]);
    assert!(printed.contains("/v1/greetings/{name}"), "{printed}");
    let [asked, said] = documented(&page);
    let answer = Server::start(&target).get(asked);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with(&format!("\r\n\r\n{said}")), "{answer}");
    good(&target, "git", &["checkout", "--quiet", "src/app/mod.rs"]);
    // What the command cuts out of generated files is what the code generates.
    let is_update = env::var_os("UPDATE").is_some_and(|value| value == "1");
    let update = if is_update { "1" } else { "0" };
    let arguments = ["test", "--quiet", "--locked", "--offline", "--test", "it", "generated::"];
    cargo_with(&target, &arguments, &[("UPDATE", update)]);
    if is_update {
        let description = "docs/openapi.json";
        fs::copy(target.join(description), repository().join("crates/clone/bare").join(description)).unwrap();
    }
}

/// The path that the page asks, and what it says comes back.
fn documented(page: &str) -> [&str; 2] {
    let (_, asked) = page.split_once("$ curl localhost:8080").expect("a request");
    let mut lines = asked.lines();
    [(); 2].map(|()| lines.next().expect("a path and an answer"))
}

/// A clone's program, on ports that were free. It ends with this.
struct Server {
    child: Child,
    address: String,
    /// Open, so that it can go on writing.
    _log: Lines<BufReader<ChildStdout>>,
}

impl Server {
    fn start(clone: &Path) -> Self {
        let mut command = Command::new(clone.join("target/debug/server"));
        command.env("APP__SERVER__LISTEN", "http://127.0.0.1:0").env("APP__ADMIN__LISTEN", "127.0.0.1:0");
        command.env("APP__TELEMETRY__LOG_FORMAT", "json").stdout(Stdio::piped());
        let mut child = command.spawn().expect("a program that was built");
        let mut log = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        // Said once it listens; the log of one that does not start ends.
        let url = log.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("\"listener\":\"app\",\"url\":\"http://")?;
            rest.split('"').next().map(str::to_owned)
        });
        Self { child, address: url.expect("a listener of the app"), _log: log }
    }

    /// All that it answers, head and body.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
