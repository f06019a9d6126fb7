//! One route moves from Python to Rust, replica by replica, under load: nobody notices.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::{
    harness::{
        at, eventually, exclusive, free_port, http,
        load::{Load, Mode},
        local,
        proxy::Proxy,
        server::Server,
        shared,
    },
    python::{count, json, path, post, raw},
};

const DELAY: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_route_moves_from_python_to_rust_under_load_and_no_request_is_lost() {
    let _turn = exclusive().await;
    let (listen, path) = ([local(free_port()), local(free_port())], path());
    let start = async |index: usize, moved: &str| {
        let settings = [
            ("APP__SERVER__LISTEN", &*format!("http://{}", listen[index])),
            ("APP__APP__WSGI", "shop:app"),
            ("APP__APP__PYTHON__PATH", &path),
            ("APP__APP__PYTHON__QUEUE", "64"),
            ("APP__APP__MOVED", moved),
            ("APP__LIFECYCLE__DRAIN_DELAY", "1s"),
        ];
        Server::start_example("moving", &settings).await
    };
    let mut replicas = [start(0, "false").await, start(1, "false").await];
    let routes = count(&replicas[0], "wsgi_routes").await;
    let proxy = Proxy::nginx(&listen).await;
    let by = async || {
        let answer = http::get(proxy.address, "/prices/7").await.expect("an answer");
        assert_eq!(json(&answer), serde_json::json!({ "number": 7, "cents": 107 }));
        answer.header("x-by").map(str::to_owned)
    };
    assert_eq!(by().await.as_deref(), Some("python"));
    let load = Load::start(proxy.address, 8, Mode::KeepAlive, "/prices/7");
    for (index, replica) in replicas.iter_mut().enumerate() {
        let enough = load.ok() + 500;
        eventually("requests before", SOON, async || (load.ok() >= enough).then_some(())).await;
        let signalled = Instant::now();
        replica.signal(Signal::SIGTERM);
        at(signalled + DELAY * 3 / 5).await;
        proxy.take_out(index);
        assert_eq!(replica.wait_exit(SOON).await, 0, "{}", replica.log());
        *replica = start(index, "true").await;
        proxy.put_back(index);
    }
    let enough = load.ok() + 500;
    eventually("requests after", SOON, async || (load.ok() >= enough).then_some(())).await;
    let outcomes = load.stop().await;
    println!("one route moved: {outcomes}");
    assert_eq!(outcomes.failed(), 0, "{outcomes}");
    for replica in &replicas {
        let answer = replica.get("/prices/7").await;
        assert_eq!(answer.header("x-by"), Some("rust"));
        assert_eq!(count(replica, "wsgi_routes").await, routes - 2);
        assert_eq!(count(replica, "wsgi_requests_total").await, 0, "Python has nothing of it any more");
        assert_eq!(replica.get("/").await.text(), "a shop\n");
        assert_eq!(count(replica, "wsgi_requests_total").await, 1);
    }
}

#[tokio::test]
async fn a_session_goes_on_between_python_and_rust() {
    let _turn = shared().await;
    let path = path();
    let start = async |moved| {
        let settings = [("APP__APP__WSGI", "shop:app"), ("APP__APP__PYTHON__PATH", &*path), ("APP__APP__MOVED", moved)];
        Server::start_example("moving", &settings).await
    };
    let (before, after) = (start("false").await, start("true").await);
    let mut visitor = Visitor::default();
    assert_eq!(visitor.post(&before, "/carts/mine", "").await["items"], 1, "Flask begins it");
    assert_eq!(visitor.post(&after, "/carts/mine", "").await["items"], 2, "Rust goes on with it");
    assert_eq!(visitor.get(&after, "/basket").await["items"], 2, "Flask reads what Rust wrote");
    // Long enough to be compressed, and none of Rust's business.
    let note = "a note, and again ".repeat(20);
    visitor.post(&after, "/notes", &note).await;
    assert_eq!(visitor.post(&after, "/carts/mine", "").await["items"], 3);
    let basket = visitor.get(&before, "/basket").await;
    assert_eq!((&basket["items"], &basket["note"]), (&3.into(), &note.into()));
    // Signed by nobody: an empty session, on both sides.
    visitor.0 = visitor.0.replace("session=", "session=x");
    assert_eq!(visitor.post(&after, "/carts/mine", "").await["items"], 1);
}

/// A client that keeps its cookie.
#[derive(Default)]
struct Visitor(String);

impl Visitor {
    async fn get(&mut self, server: &Server, path: &str) -> serde_json::Value {
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncookie: {}\r\n\r\n", self.0);
        self.keep(&raw(server, &request).await.expect("an answer"))
    }

    async fn post(&mut self, server: &Server, path: &str, body: &str) -> serde_json::Value {
        let answer = post(server, path, &format!("cookie: {}\r\n", self.0), body.as_bytes()).await;
        self.keep(&answer)
    }

    fn keep(&mut self, answer: &http::Response) -> serde_json::Value {
        assert_eq!(answer.status, 200, "{}", answer.text());
        if let Some(cookie) = answer.header("set-cookie").and_then(|cookie| cookie.split(';').next()) {
            cookie.clone_into(&mut self.0);
        }
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }
}
