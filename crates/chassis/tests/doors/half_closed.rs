//! Clients that end their side behind the request, as `nc -N`, shell scripts and some health checkers do: what they asked for
//! arrives. To the kernel of TCP they look like clients that left, which must not keep a handler for long.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::{
    fastcgi::peer::{Peer, STDIN, record},
    harness::{Scratch, http::Response, server::Server, within},
    spoken::{Asked, Spoken, app, read},
};

const ONE_WAY: [Spoken; 4] = [Spoken::Http10, Spoken::Http1, Spoken::Fastcgi, Spoken::Uwsgi];

/// All that comes behind `bytes` and the end of our side.
async fn rest_behind(mut stream: TcpStream, bytes: &[u8]) -> Vec<u8> {
    stream.write_all(bytes).await.expect("sending");
    stream.shutdown().await.expect("ending our side");
    let mut all = Vec::new();
    timeout(Duration::from_secs(15), stream.read_to_end(&mut all)).await.expect("an end").expect("no reset");
    all
}

async fn answer(spoken: Spoken, server: &Server, asked: Asked<'_>) -> Option<Response> {
    let bytes = spoken.written(asked);
    if spoken == Spoken::Fastcgi {
        let mut stream = spoken.connect(server).await;
        stream.write_all(&bytes).await.expect("sending");
        stream.shutdown().await.expect("ending our side");
        let text = Peer(stream).response_if_any(1).await?;
        return Some(read(&[b"HTTP/1.1 ", text.strip_prefix(b"Status: ").expect("CGI's first line")].concat()));
    }
    let all = rest_behind(spoken.connect(server).await, &bytes).await;
    (!all.is_empty()).then(|| read(&all))
}

#[tokio::test]
async fn a_client_that_ends_its_side_gets_its_answer() {
    let (server, upload) = (app(&[]).await, vec![b'x'; 50_000]);
    for spoken in ONE_WAY {
        for (method, target, body, expected) in [
            ("GET", "/hello/", &b""[..], "Hello, World!\n"),
            ("GET", "/slow?ms=1500", b"", "slow\n"),
            ("GET", "/stream?ms=300", b"", "part 4\n"),
            ("GET", "/download?bytes=3000000", b"", ""),
            ("POST", "/upload", &upload, "50000 "),
            ("POST", "/slow?ms=700", b"unread", "slow\n"),
        ] {
            let answer = answer(spoken, &server, Asked { method, target, fields: &[], body }).await;
            let answer = answer.unwrap_or_else(|| panic!("{spoken:?} {target}: no answer"));
            assert_eq!(answer.status, 200, "{spoken:?} {target}");
            assert!(answer.text().contains(expected), "{spoken:?} {target}: {:.200}", answer.text());
            assert!(!target.starts_with("/download") || answer.body.len() == 3_000_000, "{spoken:?}");
        }
    }
}

/// Longer than a silent client is waited for: each part shows that it is there.
#[tokio::test]
async fn an_answer_that_moves_goes_on_however_long_it_takes() {
    let server = app(&[]).await;
    let asked = Asked { method: "GET", target: "/stream?ms=2000", ..Asked::default() };
    let answers = ONE_WAY.map(|spoken| answer(spoken, &server, asked));
    for (spoken, answer) in ONE_WAY.into_iter().zip(futures_util::future::join_all(answers).await) {
        let text = answer.unwrap_or_else(|| panic!("{spoken:?}: no answer")).text();
        assert!(text.ends_with("part 4\n"), "{spoken:?}: {text}");
    }
}

#[tokio::test]
async fn requests_in_a_row_are_all_answered_behind_the_end_of_their_client() {
    let server = app(&[]).await;
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nhost: test\r\n\r\n");
    let bytes = [get("/slow?ms=300"), get("/hello/"), get("/slow?ms=300"), get("/no-content")].concat();
    let begun = Instant::now();
    let all = rest_behind(Spoken::Http1.connect(&server).await, bytes.as_bytes()).await;
    let text = String::from_utf8_lossy(&all);
    assert_eq!(text.matches("HTTP/1.1 20").count(), 4, "{text}");
    assert!(begun.elapsed() < Duration::from_secs(4), "the connection stayed for {:?}", begun.elapsed());
}

/// Nobody waits for the rest of what cannot come any more.
#[tokio::test]
async fn a_body_that_its_client_cuts_ends_its_handler_at_once() {
    let server = app(&[]).await;
    for spoken in ONE_WAY {
        let whole = spoken.written(Asked { method: "POST", target: "/upload", fields: &[], body: &[b'x'; 100] });
        // FastCGI's body has an end of its own behind it.
        let left = 50 + if spoken == Spoken::Fastcgi { record(STDIN, 1, b"", 0).len() } else { 0 };
        let begun = Instant::now();
        let all = rest_behind(spoken.connect(&server).await, &whole[..whole.len() - left]).await;
        assert!(begun.elapsed() < Duration::from_secs(3), "{spoken:?}: after {:?}", begun.elapsed());
        assert!(!String::from_utf8_lossy(&all).contains("200 OK"), "{spoken:?}");
    }
}

/// How many handlers of /slow were dropped.
async fn cancelled(server: &Server) -> usize {
    let answer = Spoken::Http1.get(server, "/slow/cancelled", &[]).await;
    answer.text().parse().expect("a count")
}

#[tokio::test]
async fn a_client_that_left_keeps_no_handler_for_long() {
    let server = app(&[]).await;
    for (already, spoken) in ONE_WAY.into_iter().enumerate() {
        let mut stream = spoken.connect(&server).await;
        let asked = Asked { method: "GET", target: "/slow?ms=14000", ..Asked::default() };
        stream.write_all(&spoken.written(asked)).await.expect("sending");
        server.metric_becomes("http_server_active_requests", 1.0, Duration::from_secs(5)).await;
        drop(stream);
        let dropped = async || (cancelled(&server).await > already).then_some(());
        within(Duration::from_secs(9), dropped).await.unwrap_or_else(|| panic!("{spoken:?}: the handler goes on"));
    }
}

/// A Unix socket tells an end of one side from a close.
#[tokio::test]
async fn on_a_unix_socket_a_client_that_left_is_noticed_at_once() {
    let scratch = Scratch::new("left");
    let folder = scratch.path().to_str().expect("a path in UTF-8");
    let listen = format!(
        "http://127.0.0.1:0,http+unix://{folder}/http,fastcgi+unix://{folder}/fastcgi,uwsgi+unix://{folder}/uwsgi"
    );
    let server = Server::start_example("battery", &[("APP__SERVER__LISTEN", &listen)]).await;
    for (already, (spoken, name)) in
        [(Spoken::Http1, "http"), (Spoken::Fastcgi, "fastcgi"), (Spoken::Uwsgi, "uwsgi")].into_iter().enumerate()
    {
        let path = scratch.path().join(name);
        let mut half = UnixStream::connect(&path).await.expect("connecting");
        let asked = |target| Asked { method: "GET", target, ..Asked::default() };
        half.write_all(&spoken.written(asked("/slow?ms=500"))).await.expect("sending");
        half.shutdown().await.expect("ending our side");
        let mut all = Vec::new();
        timeout(Duration::from_secs(5), half.read_to_end(&mut all)).await.expect("an end").expect("an answer");
        assert!(String::from_utf8_lossy(&all).contains("slow\n"), "{spoken:?}");

        let mut stream = UnixStream::connect(&path).await.expect("connecting");
        stream.write_all(&spoken.written(asked("/slow?ms=14000"))).await.expect("sending");
        server.metric_becomes("http_server_active_requests", 1.0, Duration::from_secs(5)).await;
        drop(stream);
        let dropped = async || (cancelled(&server).await > already).then_some(());
        within(Duration::from_secs(3), dropped).await.unwrap_or_else(|| panic!("{spoken:?}: the handler goes on"));
    }
}
