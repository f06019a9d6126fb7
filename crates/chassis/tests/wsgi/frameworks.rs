//! Flask and Django, as teams use them.

use std::time::Duration;

use serde_json::json;

use crate::{
    harness::{Scratch, http, http::Connection, shared},
    python::{count, json, post, start},
};

#[tokio::test]
async fn flask_takes_a_form_with_files() {
    let _turn = shared().await;
    let server = start("shop:app", &[("APP__SERVER__MAX_BODY", "16MiB")]).await;
    let boundary = "the-end-of-a-part";
    let file = vec![b'\n'; 3 * 1024 * 1024 + 1];
    let mut form = Vec::new();
    for (head, content) in [
        ("name=\"title\"", &b"two words"[..]),
        ("name=\"large\"; filename=\"large.bin\"\r\nContent-Type: application/octet-stream", &file),
        ("name=\"small\"; filename=\"a b.txt\"\r\nContent-Type: text/plain", b"--the-end\r\n"),
    ] {
        form.extend(format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n").into_bytes());
        form.extend(content);
        form.extend(b"\r\n");
    }
    form.extend(format!("--{boundary}--\r\n").into_bytes());
    let kind = format!("content-type: multipart/form-data; boundary={boundary}\r\n");
    let answer = post(&server, "/photos", &kind, &form).await;
    assert_eq!(answer.status, 200, "{}\n{}", answer.text(), server.log());
    let expected = json!({
        "fields": { "title": "two words" },
        "files": {
            "large": ["large.bin", "application/octet-stream", file.len()],
            "small": ["a b.txt", "text/plain", 11],
        },
    });
    assert_eq!(json(&answer), expected);
}

#[tokio::test]
async fn flask_keeps_sessions_and_answers_its_own_errors() {
    let _turn = shared().await;
    let server = start("shop:app", &[]).await;
    let first = post(&server, "/carts/mine", "", b"").await;
    let cookie = first.header("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a session").to_owned();
    let second = post(&server, "/carts/mine", &format!("cookie: {cookie}\r\n"), b"").await;
    assert_eq!(json(&second), json!({ "cart": "mine", "items": 2 }));
    assert_eq!(server.get("/nothing").await.status, 404);
    let broken = server.get("/broken").await;
    assert!(broken.status == 500 && broken.text().contains("Internal Server Error"), "{}", broken.text());
    // Flask logs to wsgi.errors.
    server.logs("ZeroDivisionError").await;
    // `/` and `/static/{}` are Rust's and Flask's; `/` is the board's here.
    assert_eq!(count(&server, "wsgi_routes").await, 7, "{}", server.log());
}

/// How many requests each client sends, and how many clients there are.
const CLIENTS: usize = 10;
const REQUESTS: usize = 100;

#[tokio::test]
async fn djangos_threads_and_connections_stay_over_a_thousand_requests() {
    let _turn = shared().await;
    let scratch = Scratch::new("bank");
    let database = scratch.path().join("bank.sqlite").display().to_string();
    // A slow disk's locks are no failure here.
    let settings = [
        ("BANK_DATABASE", &*database),
        ("APP__APP__PYTHON__THREADS", "4"),
        ("APP__APP__PYTHON__QUEUE", "100"),
        ("APP__SERVER__REQUEST_TIMEOUT", "30s"),
        ("APP__LIFECYCLE__DRAIN_TIMEOUT", "30s"),
    ];
    let server = start("bank:application", &settings).await;
    let address = server.app;
    let clients = (0..CLIENTS).map(|_| {
        tokio::spawn(async move {
            let mut connection = Connection::open(address).await.expect("connecting");
            for cents in 0..REQUESTS {
                let answer = connection.get(&format!("/pay/{cents}")).await.expect("an answer");
                assert_eq!(answer.status, 200, "{}", answer.text());
                if answer.closes() {
                    connection = Connection::open(address).await.expect("connecting");
                }
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        let bound = Duration::from_mins(2);
        tokio::time::timeout(bound, client).await.expect("in time").expect("0 failed");
    }
    let told = json(&http::get(address, "/told").await.expect("an answer"));
    assert_eq!(told["count"], CLIENTS * REQUESTS, "{told}");
    assert_eq!(told["cents"], CLIENTS * (REQUESTS - 1) * REQUESTS / 2, "{told}");
    // What a thread counts is that thread's, from the first request to the last.
    let threads: Vec<u64> =
        told["threads"].as_array().expect("a list").iter().filter_map(serde_json::Value::as_u64).collect();
    assert_eq!(threads.iter().sum::<u64>(), (CLIENTS * REQUESTS) as u64, "{told}");
    assert!(threads.len() <= 4, "{told}");
    // One for the table at the start, and one for each thread, for good.
    assert!(told["connections"].as_u64().is_some_and(|opened| opened <= 5), "{told}");
    println!("{told}");
    assert_eq!(count(&server, "wsgi_routes").await, 2);
}
