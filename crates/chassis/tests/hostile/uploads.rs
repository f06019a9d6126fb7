//! Uploads that do not come, or come slowly: whichever door they use, they take nothing from others.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::StreamBody;
use hyper::{body::Frame, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, task::JoinSet};

use crate::{
    beside::{Healthy, Memory, QUOTE, held, size},
    harness::{at, exclusive, http::Connection, proxy::Proxy, server::Server},
    packet::packet,
    peer::{PARAMS, begin, pairs, record},
};

const HEAD: &[u8] =
    b"POST /v1/quotes HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n";

/// The same as CGI variables.
pub(crate) const VARIABLES: [(&str, &str); 5] = [
    ("REQUEST_METHOD", "POST"),
    ("REQUEST_URI", "/v1/quotes"),
    ("HTTP_HOST", "test"),
    ("CONTENT_TYPE", "application/json"),
    ("CONTENT_LENGTH", "100000"),
];

/// A body's time is up well before its request's.
const SHORT: [(&str, &str); 3] = [
    ("APP__SERVER__BODY_TIMEOUT", "3s"),
    ("APP__SERVER__REQUEST_TIMEOUT", "9s"),
    ("APP__LIFECYCLE__DRAIN_TIMEOUT", "9s"),
];
const SECOND: Duration = Duration::from_secs(1);

async fn start(own: &[(&str, &str)]) -> Server {
    Server::start(&[&SHORT, own].concat()).await
}

/// The limit of the pool of all others is where it began.
async fn limit_holds(server: &Server) {
    let limit = server.series("overload_limit", "pool=\"io\"").await;
    assert!(limit >= 1024.0, "the limit fell to {limit}");
}

async fn take_nothing(count: usize) {
    let _turn = exclusive().await;
    let server = start(&[]).await;
    let what = format!("{count} heads without bodies");
    let mut healthy = Healthy::start(server.app);
    healthy.settle().await;
    let memory = Memory::of(&server);
    let mut holders = held(server.app, count, HEAD).await;
    healthy.answered_beside(&what).await;
    limit_holds(&server).await;
    memory.holds(&server, &what);
    for holder in &mut holders {
        assert_eq!(holder.receive().await.map(|answer| answer.status), Ok(408));
        assert!(holder.ended_within(3 * SECOND).await.is_some(), "still open after its 408");
    }
    healthy.none_failed(&what).await;
    server.metric_becomes("http_server_uploads", 0.0, 5 * SECOND).await;
}

#[tokio::test]
async fn nine_heads_without_bodies_take_nothing_from_others() {
    take_nothing(9).await;
}

#[tokio::test]
async fn many_heads_without_bodies_take_nothing_from_others() {
    take_nothing(size(100, 1000)).await;
}

#[tokio::test]
async fn above_the_bound_of_uploads_the_oldest_heads_end_and_no_other_request_does() {
    let _turn = exclusive().await;
    let server = start(&[("APP__OVERLOAD__ADAPTIVE", "false"), ("APP__SERVER__BODY_TIMEOUT", "30s")]).await;
    let mut healthy = Healthy::start(server.app);
    healthy.settle().await;
    let mut holders = held(server.app, 2100, HEAD).await;
    healthy.answered_beside("2,100 heads without bodies").await;
    assert_eq!(holders[0].receive().await.map(|answer| answer.status), Ok(408));
    let shed = server.metric("http_server_uploads_shed_total").await;
    // 1,024 of ours, and the few of the healthy clients that are on their way.
    assert!((1050.0..1100.0).contains(&shed), "{shed} uploads were ended for others");
    drop(holders);
    healthy.none_failed("2,100 heads without bodies").await;
}

#[tokio::test]
async fn heads_without_bodies_behind_a_proxy_take_nothing_from_others() {
    let _turn = exclusive().await;
    let server = start(&[]).await;
    let proxy = Proxy::haproxy(&[server.app]).await;
    let mut healthy = Healthy::start(proxy.address);
    healthy.settle().await;
    let mut holders = held(proxy.address, size(100, 1000), HEAD).await;
    healthy.answered_beside("heads without bodies behind HAProxy").await;
    limit_holds(&server).await;
    for holder in &mut holders {
        assert_eq!(holder.receive().await.map(|answer| answer.status), Ok(408));
    }
    healthy.none_failed("heads without bodies behind HAProxy").await;
}

#[tokio::test]
async fn open_streams_without_bodies_take_nothing_from_others() {
    let _turn = exclusive().await;
    let server = start(&[]).await;
    let mut healthy = Healthy::start(server.app);
    healthy.settle().await;
    let memory = Memory::of(&server);
    let mut streams = open_streams(server.app, 200).await;
    healthy.answered_beside("200 streams without bodies").await;
    limit_holds(&server).await;
    memory.holds(&server, "200 streams without bodies");
    while let Some(status) = streams.join_next().await {
        assert_eq!(status.expect("a task"), Some(408));
    }
    healthy.none_failed("200 streams without bodies").await;
}

/// `count` POSTs on one HTTP/2 connection, none of which sends a byte of its body; their statuses.
async fn open_streams(address: SocketAddr, count: usize) -> JoinSet<Option<u16>> {
    let stream = TcpStream::connect(address).await.expect("connecting");
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    let mut streams = JoinSet::new();
    tokio::spawn(connection);
    for _ in 0..count {
        let mut sender = sender.clone();
        let nothing = StreamBody::new(stream::pending::<Result<Frame<Bytes>, std::io::Error>>().boxed());
        let request = hyper::Request::post(format!("http://{address}/v1/quotes"));
        let request = request.header("content-type", "application/json").body(nothing).expect("a request");
        sender.ready().await.expect("room for a stream");
        streams
            .spawn(async move { sender.send_request(request).await.ok().map(|response| response.status().as_u16()) });
    }
    streams
}

/// Over both CGI doors, with the healthy clients on the plain one.
async fn take_nothing_over(door: usize, what: &str, head: &[u8]) {
    let _turn = exclusive().await;
    let listen = "http://127.0.0.1:0,fastcgi://127.0.0.1:0,uwsgi://127.0.0.1:0";
    let server = start(&[("APP__SERVER__LISTEN", listen)]).await;
    let address = server.urls()[door].rsplit('/').next().expect("an authority").parse().expect("an address");
    let mut healthy = Healthy::start(server.app);
    healthy.settle().await;
    let memory = Memory::of(&server);
    let mut holders = held(address, size(100, 1000), head).await;
    healthy.answered_beside(what).await;
    limit_holds(&server).await;
    memory.holds(&server, what);
    for holder in &mut holders {
        assert!(holder.ended_within(10 * SECOND).await.is_some(), "{what}: still open");
    }
    healthy.none_failed(what).await;
}

#[tokio::test]
async fn heads_without_bodies_over_fastcgi_take_nothing_from_others() {
    let head = [begin(1, 1, 0), record(PARAMS, 1, &pairs(&VARIABLES), 0), record(PARAMS, 1, b"", 0)].concat();
    take_nothing_over(1, "heads without bodies over FastCGI", &head).await;
}

#[tokio::test]
async fn heads_without_bodies_over_uwsgi_take_nothing_from_others() {
    take_nothing_over(2, "heads without bodies over uwsgi", &packet(0, &VARIABLES)).await;
}

/// Slow clients are served like any other.
#[tokio::test]
async fn uploads_that_end_well_after_seconds_take_nothing_from_others_and_are_answered() {
    let _turn = exclusive().await;
    let server = start(&[]).await;
    let mut healthy = Healthy::start(server.app);
    healthy.settle().await;
    let mut slow = JoinSet::new();
    for _ in 0..20 {
        slow.spawn(upload_slowly(server.app));
    }
    while let Some(status) = slow.join_next().await {
        assert_eq!(status.expect("a task"), 200);
        limit_holds(&server).await;
    }
    healthy.none_failed("20 slow uploads").await;
}

/// A quote in three parts over 4.5 s: the waits are what is tested.
async fn upload_slowly(address: SocketAddr) -> u16 {
    let mut connection = Connection::open(address).await.expect("connecting");
    let head = format!(
        "POST /v1/quotes HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        QUOTE.len()
    );
    connection.send(head.as_bytes()).await.expect("sending");
    for part in QUOTE.as_bytes().chunks(QUOTE.len().div_ceil(3)) {
        at(std::time::Instant::now() + 3 * SECOND / 2).await;
        connection.send(part).await.expect("sending");
    }
    connection.receive().await.expect("an answer").status
}

/// Each sends most of the largest body and stops: what is in memory has a bound.
#[tokio::test]
async fn uploads_that_stop_in_the_middle_hold_a_bounded_memory() {
    let _turn = exclusive().await;
    // Half of the default, so that buffers have their room in what a case may cost.
    let settings = [("APP__SERVER__BODY_TIMEOUT", "30s"), ("APP__SERVER__MAX_UPLOAD_BYTES", "8MiB")];
    let server = start(&settings).await;
    let mut healthy = Healthy::start(server.app);
    healthy.settle().await;
    let memory = Memory::of(&server);
    let head =
        b"POST /v1/quotes HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 2000000\r\n\r\n";
    let most = [head, vec![b' '; 1_900_000].as_slice()].concat();
    let holders = held(server.app, size(40, 100), &most).await;
    healthy.answered_beside("uploads that stop in the middle").await;
    let bytes = server.metric("http_server_upload_bytes").await;
    assert!(bytes <= f64::from(8 << 20), "{bytes} bytes of uploads in memory");
    memory.holds(&server, "uploads that stop in the middle");
    drop(holders);
    healthy.none_failed("uploads that stop in the middle").await;
}
