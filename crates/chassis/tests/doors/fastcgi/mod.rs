//! What web servers do not send every day, as records on a socket.

mod nagging;
pub(crate) mod peer;

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use self::peer::{
    ABORT, BEGIN, END, GET_VALUES, GET_VALUES_RESULT, KEEP, PARAMS, Peer, Record, STDIN, UNKNOWN_TYPE, begin, pairs,
    record, request, server,
};
use crate::harness::tools;

const CLOSED: &str = "http_server_connections_closed_total";

#[tokio::test]
async fn a_kept_connection_serves_one_request_after_the_other() {
    let server = server(&[]).await;
    let mut peer = Peer::open(&server).await;
    for id in [1, 1, 7, 65_535] {
        peer.send(&request(id, KEEP, "GET", "/hello/")).await;
        let response = peer.response(id).await;
        assert!(
            response.starts_with("Status: 200 OK\r\n") && response.ends_with("\r\n\r\nHello, World!\n"),
            "{response}"
        );
    }
    peer.send(&request(1, 0, "GET", "/hello/")).await;
    peer.response(1).await;
    assert_eq!(peer.record().await, None, "it was not to be kept");
}

#[tokio::test]
async fn records_may_come_byte_by_byte_padded_and_in_parts() {
    let server = server(&[]).await;
    let mut peer = Peer::open(&server).await;
    let long = "x".repeat(300);
    let variables = pairs(&[
        ("REQUEST_METHOD", "POST"),
        ("REQUEST_URI", "/echo"),
        ("CONTENT_LENGTH", "10"),
        ("HTTP_X_LONG", &long),
    ]);
    let mut bytes = begin(3, 1, KEEP);
    for part in variables.chunks(7) {
        bytes.extend(record(PARAMS, 3, part, 5));
    }
    bytes.extend(record(PARAMS, 3, b"", 255));
    for part in ["abc", "defg", "hij"] {
        bytes.extend(record(STDIN, 3, part.as_bytes(), 1));
    }
    bytes.extend(record(STDIN, 3, b"", 0));
    for byte in bytes {
        peer.send(&[byte]).await;
    }
    let response = peer.response(3).await;
    assert!(response.contains("\"body\":\"abcdefghij\"") && response.contains(&long), "{response}");
}

#[tokio::test]
async fn it_tells_what_it_can_do() {
    let server = server(&[("APP__SERVER__MAX_CONNECTIONS", "321")]).await;
    let mut peer = Peer::open(&server).await;
    let asked = pairs(&[("FCGI_MAX_CONNS", ""), ("FCGI_MAX_REQS", ""), ("FCGI_MPXS_CONNS", ""), ("OTHER", "")]);
    peer.send(&record(GET_VALUES, 0, &asked, 0)).await;
    let told = pairs(&[("FCGI_MAX_CONNS", "321"), ("FCGI_MAX_REQS", "321"), ("FCGI_MPXS_CONNS", "0")]);
    assert_eq!(peer.record().await, Some(Record { kind: GET_VALUES_RESULT, id: 0, content: told }));
    peer.send(&record(99, 0, b"what", 0)).await;
    let unknown = Record { kind: UNKNOWN_TYPE, id: 0, content: vec![99, 0, 0, 0, 0, 0, 0, 0] };
    assert_eq!(peer.record().await, Some(unknown));
    peer.send(&request(1, KEEP, "GET", "/hello/")).await;
    peer.response(1).await;
}

#[tokio::test]
async fn other_roles_are_refused() {
    let server = server(&[]).await;
    for role in [2, 3, 9] {
        let mut peer = Peer::open(&server).await;
        // Its variables come behind it before it has heard.
        peer.send(&[begin(1, role, KEEP), record(PARAMS, 1, b"", 0), record(STDIN, 1, b"", 0)].concat()).await;
        let refusal = Record { kind: END, id: 1, content: vec![0, 0, 0, 0, 3, 0, 0, 0] };
        assert_eq!(peer.record().await, Some(refusal));
        peer.send(&request(1, KEEP, "GET", "/hello/")).await;
        peer.response(1).await;
    }
}

#[tokio::test]
async fn a_second_request_is_told_that_there_is_one_at_a_time() {
    let server = server(&[]).await;
    let mut peer = Peer::open(&server).await;
    peer.send(&request(1, KEEP, "GET", "/slow?ms=300")).await;
    peer.send(&request(2, KEEP, "GET", "/hello/")).await;
    let refusal = Record { kind: END, id: 2, content: vec![0, 0, 0, 0, 1, 0, 0, 0] };
    assert_eq!(peer.record().await, Some(refusal), "at once");
    assert!(peer.response(1).await.ends_with("slow\n"));
    peer.send(&request(2, KEEP, "GET", "/hello/")).await;
    peer.response(2).await;
}

#[tokio::test]
async fn an_abort_ends_the_handler_and_keeps_the_connection() {
    let server = server(&[]).await;
    let mut peer = Peer::open(&server).await;
    peer.send(&request(1, KEEP, "GET", "/slow?ms=2500")).await;
    server.metric_becomes("http_server_active_requests", 1.0, Duration::from_secs(5)).await;
    peer.send(&record(ABORT, 1, b"", 0)).await;
    assert_eq!(peer.record().await, Some(Record { kind: END, id: 1, content: vec![0; 8] }));
    peer.send(&request(1, KEEP, "GET", "/slow/cancelled")).await;
    assert!(peer.response(1).await.ends_with("\r\n\r\n1"));
    // Also before its variables are whole.
    peer.send(&[begin(2, 1, KEEP), record(ABORT, 2, b"", 0)].concat()).await;
    assert_eq!(peer.record().await, Some(Record { kind: END, id: 2, content: vec![0; 8] }));
}

#[tokio::test]
async fn records_of_requests_that_are_over_are_skipped() {
    let server = server(&[]).await;
    let mut peer = Peer::open(&server).await;
    peer.send(&request(1, KEEP, "GET", "/hello/")).await;
    peer.response(1).await;
    peer.send(&[record(STDIN, 1, b"late", 0), record(STDIN, 1, b"", 0), record(ABORT, 1, b"", 0)].concat()).await;
    peer.send(&request(1, KEEP, "GET", "/hello/")).await;
    peer.response(1).await;
}

#[tokio::test]
async fn a_body_that_nobody_reads_is_swallowed_or_given_up_by_the_peer() {
    let server = server(&[]).await;
    let mut peer = Peer::open(&server).await;
    let variables = pairs(&[("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/unread"), ("CONTENT_LENGTH", "100000")]);
    let head = [begin(1, 1, KEEP), record(PARAMS, 1, &variables, 0), record(PARAMS, 1, b"", 0)].concat();
    peer.send(&head).await;
    assert!(peer.response(1).await.ends_with("not read\n"), "before the body came");
    for _ in 0..2 {
        peer.send(&record(STDIN, 1, &vec![b'x'; 50_000], 0)).await;
    }
    peer.send(&record(STDIN, 1, b"", 0)).await;
    peer.send(&head).await;
    assert!(peer.response(1).await.ends_with("not read\n"), "on the same connection");
    // Apache sends no more of a body whose request was answered, and begins the next one.
    peer.send(&request(1, KEEP, "GET", "/hello/")).await;
    assert!(peer.response(1).await.ends_with("Hello, World!\n"));
}

/// Apache and `HAProxy` cannot be told that a connection ends, and would lose the request that they send next.
#[tokio::test]
async fn a_long_body_that_nobody_reads_costs_no_later_request() {
    let server = server(&[("APP__SERVER__MAX_BODY", "8MiB")]).await;
    let mut peer = Peer::open(&server).await;
    let ways = [
        ("Apache/2.4.71 (Debian)", 64 * 50_000, "not read\n"),
        ("HAProxy 2.6.12", 64 * 50_000, "not read\n"),
        ("Apache/2.4.71 (Debian)", 9 * 1024 * 1024, "\"code\":\"body_too_large\""),
        ("HAProxy 2.6.12", 9 * 1024 * 1024, "\"code\":\"body_too_large\""),
    ];
    for (software, length, expected) in ways {
        let length = length.to_string();
        let software = ("SERVER_SOFTWARE", software);
        let variables =
            pairs(&[("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/unread"), ("CONTENT_LENGTH", &length), software]);
        let mut sent = [begin(1, 1, KEEP), record(PARAMS, 1, &variables, 0), record(PARAMS, 1, b"", 0)].concat();
        for _ in 0..64 {
            sent.extend(record(STDIN, 1, &vec![b'x'; 50_000], 0));
        }
        peer.send(&sent).await;
        let text = peer.response(1).await;
        assert!(text.contains(expected), "{text}");
        peer.send(&request(1, KEEP, "GET", "/hello/")).await;
        assert!(peer.response(1).await.ends_with("Hello, World!\n"), "on the same connection");
    }
}

#[tokio::test]
async fn a_failed_body_ends_without_an_end() {
    let server = server(&[]).await;
    let mut peer = Peer::open(&server).await;
    peer.send(&request(1, KEEP, "GET", "/bad-body")).await;
    let mut all = Vec::new();
    timeout(Duration::from_secs(5), peer.0.read_to_end(&mut all)).await.expect("an end in time").expect("reading");
    let text = String::from_utf8_lossy(&all).into_owned();
    assert!(text.contains("first\n"), "{text}");
    let end = all.windows(4).any(|window| window == [1, END, 0, 1]);
    assert!(!end && all.ends_with(&[0xff; 8]), "{all:?}");
}

#[tokio::test]
async fn a_length_that_is_wrong_is_no_request_smuggled() {
    let server = server(&[]).await;
    for (length, body) in [("3", "abcdef"), ("6", "abc")] {
        let mut peer = Peer::open(&server).await;
        let variables = pairs(&[("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/upload"), ("CONTENT_LENGTH", length)]);
        let bytes = [
            begin(1, 1, KEEP),
            record(PARAMS, 1, &variables, 0),
            record(PARAMS, 1, b"", 0),
            record(STDIN, 1, body.as_bytes(), 0),
            record(STDIN, 1, b"", 0),
        ];
        peer.send(&bytes.concat()).await;
        assert!(peer.response(1).await.starts_with("Status: 400"), "{length}");
        assert_eq!(peer.record().await, None, "and the connection ends");
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_what_is_no_record_ends_the_connection() {
    let server = server(&[]).await;
    let long = "x".repeat(100_000);
    let cases = [
        (vec![("REQUEST_METHOD", "GET")], "Status: 400"),
        (vec![("REQUEST_METHOD", "GET"), ("REQUEST_URI", "no path")], "Status: 400"),
        (vec![("REQUEST_URI", "/hello/")], "Status: 400"),
        (vec![("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/hello/"), ("CONTENT_LENGTH", "+5")], "Status: 400"),
        (vec![("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/hello/"), ("HTTP_X_LONG", &long)], "Status: 431"),
    ];
    for (variables, status) in cases {
        let mut peer = Peer::open(&server).await;
        peer.send(&begin(1, 1, KEEP)).await;
        for part in pairs(&variables).chunks(60_000) {
            peer.send(&record(PARAMS, 1, part, 0)).await;
        }
        peer.send(&[record(PARAMS, 1, b"", 0), record(STDIN, 1, b"", 0)].concat()).await;
        let response = peer.response(1).await;
        assert!(response.starts_with(status) && response.contains("application/problem+json"), "{response}");
        assert_eq!(peer.record().await, None);
    }
    for bad in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &record(BEGIN, 1, b"", 0),
        &[begin(1, 1, 0), record(STDIN, 1, b"x", 0)].concat(),
    ] {
        let mut peer = Peer::open(&server).await;
        peer.send(bad).await;
        assert_eq!(peer.record().await, None, "{bad:?}");
    }
    server.series_becomes(CLOSED, "reason=\"malformed\"", 8.0).await;
}

#[tokio::test]
async fn timers_and_cap_hold_here_as_well() {
    let settings = [
        ("APP__SERVER__HEADER_TIMEOUT", "300ms"),
        ("APP__SERVER__IDLE_TIMEOUT", "400ms"),
        ("APP__SERVER__MAX_CONNECTIONS", "3"),
    ];
    let server = server(&settings).await;
    let (mut silent, mut half, mut idle) =
        (Peer::open(&server).await, Peer::open(&server).await, Peer::open(&server).await);
    half.send(&begin(1, 1, KEEP)).await;
    idle.send(&request(1, KEEP, "GET", "/hello/")).await;
    idle.response(1).await;
    // A record of no request makes an idle connection no busier.
    idle.send(&record(99, 0, b"", 0)).await;
    idle.record().await;
    for peer in [&mut silent, &mut half, &mut idle] {
        assert_eq!(peer.record().await, None);
    }
    for (reason, count) in [("header_timeout", 2.0), ("idle_timeout", 1.0)] {
        server.series_becomes(CLOSED, &format!("reason=\"{reason}\""), count).await;
    }
}

#[tokio::test]
async fn a_peer_that_nobody_trusts_is_not_heard() {
    let server = server(&[("APP__SERVER__TRUSTED_PEERS", "10.0.0.0/8")]).await;
    let mut peer = Peer::open(&server).await;
    let _ = peer.0.write_all(&request(1, KEEP, "GET", "/hello/")).await;
    assert_eq!(peer.record().await, None);
    server.series_becomes(CLOSED, "reason=\"untrusted\"", 1.0).await;
    server.logs("outside server.trusted_peers").await;
}

#[tokio::test]
async fn cgi_fcgi_gets_an_answer() {
    let server = server(&[]).await;
    let at = server.urls()[0].trim_start_matches("fastcgi://").to_owned();
    let mut command = tokio::process::Command::new(tools::find("cgi-fcgi"));
    command.args(["-bind", "-connect", &at]).env_clear();
    command.envs([("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/echo?a=1"), ("CONTENT_LENGTH", "5")]);
    let done = tools::output(command, "12345", Duration::from_secs(10)).await;
    assert!(done.text.starts_with("Status: 200 OK\r\n") && done.text.contains("\"body\":\"12345\""), "{}", done.text);
}
