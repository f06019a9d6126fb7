//! TLS over what is no port of ours: a Unix socket, and one that was passed.

use std::time::Duration;

use super::{Authority, text};
use crate::{
    harness::{Scratch, eventually, free_port, server::Server, shared, tools},
    spawned,
};

/// Its answer to curl, which asks over HTTP/2 where it can.
async fn ask(authority: &Authority, arguments: &[&str], url: &str) -> tools::Output {
    let certificate = authority.certificate();
    let always = ["--silent", "--show-error", "--max-time", "20", "--write-out", "%{http_code} %{http_version}"];
    tools::run("curl", &[&always, &["--cacert", text(&certificate)][..], arguments, &[url]].concat()).await
}

#[tokio::test]
async fn tls_is_spoken_over_a_unix_socket() {
    let _turn = shared().await;
    let scratch = Scratch::new("tls-unix");
    let authority = Authority::new(&scratch, "ca").await;
    let (certificate, key) = authority.issue("server").await;
    let path = scratch.path().join("app.sock");
    let _server = Server::start_example(
        "battery",
        &[
            ("APP__SERVER__LISTEN", &format!("http://127.0.0.1:0,https+unix://{}", text(&path))),
            ("APP__TLS__CERTIFICATE_FILE", text(&certificate)),
            ("APP__TLS__KEY_FILE", text(&key)),
        ],
    )
    .await;
    let answer = ask(&authority, &["--unix-socket", text(&path)], "https://localhost/hello/").await;
    assert!(answer.code == 0 && answer.text.ends_with("200 2"), "{}", answer.text);
    let plain = ask(&authority, &["--unix-socket", text(&path)], "http://localhost/hello/").await;
    assert_ne!(plain.code, 0, "{}", plain.text);
}

#[tokio::test]
async fn tls_is_spoken_over_a_socket_that_was_passed() {
    let _turn = shared().await;
    let scratch = Scratch::new("tls-fd");
    let authority = Authority::new(&scratch, "ca").await;
    let (certificate, key) = authority.issue("server").await;
    let port = free_port().to_string();
    let settings = [
        ("APP__SERVER__LISTEN", "https+fd://0"),
        ("APP__TLS__CERTIFICATE_FILE", text(&certificate)),
        ("APP__TLS__KEY_FILE", text(&key)),
    ];
    let pid = spawned::spawn(&scratch, &["-a", "127.0.0.1", "-p", &port], &settings).await;
    let url = format!("https://127.0.0.1:{port}/hello/");
    let answer = async || {
        let answer = ask(&authority, &[], &url).await;
        (answer.code == 0 && answer.text.ends_with("200 2")).then_some(())
    };
    eventually("an answer over TLS", Duration::from_secs(20), answer).await;
    spawned::end(pid).await;
}
