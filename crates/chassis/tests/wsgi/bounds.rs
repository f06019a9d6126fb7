//! What is bounded, and what is refused: threads and their queue, a request's time, and applications that are none.

use std::time::Duration;

use crate::{
    harness::{
        eventually,
        http::{self, Connection},
        server::run_to_exit,
        shared,
    },
    python::{count, path, seen, start},
};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_full_queue_is_a_503_and_the_rest_is_served() {
    let _turn = shared().await;
    let one_thread = [("APP__APP__PYTHON__THREADS", "1"), ("APP__APP__PYTHON__QUEUE", "1")];
    let server = start("shapes:application", &one_thread).await;
    let ask = || {
        let address = server.app;
        tokio::spawn(async move { http::get(address, "/slow?1").await.expect("an answer") })
    };
    let first = ask();
    server.metric_becomes("wsgi_threads_busy", 1.0, SOON).await;
    let second = ask();
    server.metric_becomes("wsgi_queue_depth", 1.0, SOON).await;
    let refused = server.get("/one").await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert!(refused.text().contains("\"code\":\"overloaded\""), "{}", refused.text());
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u8>().is_ok()));
    // A route of Rust has no need of a thread.
    assert_eq!(server.get("/whoami").await.status, 200);
    for answer in [first, second] {
        assert_eq!(answer.await.expect("a task").status, 200);
    }
    assert_eq!(count(&server, "wsgi_requests_total").await, 2);
}

#[tokio::test]
async fn uploads_that_do_not_come_hold_no_thread() {
    let _turn = shared().await;
    let server = start("shapes:application", &[("APP__APP__PYTHON__THREADS", "1")]).await;
    let mut held = Vec::new();
    for _ in 0..50 {
        let mut connection = Connection::open(server.app).await.expect("connecting");
        connection
            .send(b"POST /body HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nfirst")
            .await
            .expect("sending");
        held.push(connection);
    }
    server.metric_becomes("http_server_uploads", 50.0, SOON).await;
    for _ in 0..100 {
        assert_eq!(server.get("/one").await.status, 200);
    }
    for connection in &mut held {
        connection.send(b"other").await.expect("sending");
        assert_eq!(connection.receive().await.expect("an answer").status, 200);
    }
}

#[tokio::test]
async fn a_request_past_its_time_is_a_504_and_who_waited_in_vain_costs_nothing() {
    let _turn = shared().await;
    let settings = [("APP__APP__PYTHON__THREADS", "1"), ("APP__SERVER__REQUEST_TIMEOUT", "300ms")];
    let server = start("shapes:application", &settings).await;
    let ask = || {
        let address = server.app;
        tokio::spawn(async move { http::get(address, "/slow?1").await.expect("an answer") })
    };
    let late = [ask(), ask(), ask()];
    for answer in late {
        assert_eq!(answer.await.expect("a task").status, 504);
    }
    eventually("the thread is free", SOON, async || (server.metric("wsgi_threads_busy").await == 0.0).then_some(()))
        .await;
    // Only one of them was begun: the others had left the queue.
    assert_eq!(seen(&server, "started").await, 1, "{}", server.log());
}

#[tokio::test]
async fn an_application_that_is_none_ends_the_start_with_its_key() {
    let _turn = shared().await;
    let path = path();
    for (name, code, parts) in [
        ("no name", 78, ["APP__APP__WSGI", "expected module:callable"]),
        ("nothing:application", 1, ["app.wsgi", "No module named 'nothing'"]),
        ("shapes:nothing", 1, ["app.wsgi", "has no attribute 'nothing'"]),
        ("shapes:TEXT", 1, ["app.wsgi", "shapes:TEXT is not callable"]),
    ] {
        let ended = run_to_exit(&[], &[("APP__APP__WSGI", name), ("APP__APP__PYTHON__PATH", &path)]).await;
        assert_eq!(ended.code, code, "{name}: {}", ended.text);
        for part in parts {
            assert!(ended.text.contains(part), "{name}: no {part} in {}", ended.text);
        }
    }
    for (key, value, part) in [
        ("APP__APP__PYTHON__PATH", "/no/such/folder", "not a directory"),
        ("APP__APP__PYTHON__THREADS", "0", "APP__APP__PYTHON__THREADS"),
    ] {
        let ended = run_to_exit(&[], &[("APP__APP__WSGI", "shapes:application"), (key, value)]).await;
        assert!(ended.code != 0 && ended.text.contains(part), "{key}: {}", ended.text);
    }
}
