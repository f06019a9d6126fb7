//! What HTTP/2 refuses before there is a request: each is counted, and for what it is.

use std::time::Duration;

use super::frames::{self, END_STREAM, GOAWAY, HEADERS, raw, request};
use crate::{
    harness::{eventually, server::Server, shared},
    logs::access,
};

const END_HEADERS: u8 = 4;
const PING: u8 = 6;

/// h2 answers it before there is a request; malformed trailers that come with it are not taken for it.
#[tokio::test]
async fn a_head_that_is_too_large_for_h2_is_counted_and_logged() {
    let _turn = shared().await;
    let limits = [("APP__SERVER__MAX_HEAD", "4KiB"), ("APP__SERVER__MAX_URI", "1KiB")];
    let settings = [&limits[..], &[("APP__TELEMETRY__ACCESS_LOG", "true")]].concat();
    let server = Server::start_example("streams", &settings).await;
    let mut connection = frames::open(server.app, &[]).await;
    let field = [&[0, 1, b'x', 100][..], &[b'a'; 100]].concat();
    let large = raw(HEADERS, END_STREAM | END_HEADERS, 3, &[frames::get("/hello"), field.repeat(90)].concat());
    let body = raw(HEADERS, END_HEADERS, 1, &request(0x83, "/upload"));
    let trailers = raw(HEADERS, END_STREAM | END_HEADERS, 1, &[0, 1, b'X', 1, b'y']);
    connection.send(&[body, large, trailers].concat()).await.unwrap();
    let counted = async |status: u16| {
        let labels = format!("http_request_method=\"_OTHER\",http_response_status_code=\"{status}\",http_route=\"\"");
        server.series("http_server_request_duration_seconds_count", &labels).await
    };
    eventually("it is counted", Duration::from_secs(10), async || (counted(431).await > 0.5).then_some(())).await;
    let line = async || access(&server).into_iter().find(|line| line["http.response.status_code"] == 431);
    assert_eq!(eventually("its access line", Duration::from_secs(5), line).await["http.request.method"], "_OTHER");
    assert!(counted(431).await < 1.5, "counted twice");
    assert!(counted(400).await < 0.5, "the trailers were taken for a head");
}

#[tokio::test]
async fn an_error_of_the_connection_is_counted_as_malformed() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[]).await;
    let mut connection = frames::open(server.app, &[]).await;
    // A PING has 8 bytes.
    connection.send(&raw(PING, 0, 0, &[0; 7])).await.unwrap();
    assert!(frames::rest(&mut connection).await.0.iter().any(|frame| frame.kind == GOAWAY));
    server.series_becomes("http_server_connections_closed_total", "reason=\"malformed\"", 1.0).await;
}
