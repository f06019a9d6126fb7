//! Requests with one answer, over HTTP/1.1 and HTTP/2.
//!
//! A request that hyper gives back was not sent: the connection had ended before. One behind the last stream of a GOAWAY was
//! not looked at. Both go to another connection; nothing else is ever sent again, and what the replicas count shows that
//! those were not looked at.
//!
//! Next: `streams`.

use std::{convert::Infallible, error::Error as _, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

use super::Client;

pub(super) type Sent = UnsyncBoxBody<Bytes, Infallible>;

/// 1,000,000: nginx takes bodies of 1 MiB at most, unless it is told otherwise.
const LARGE: usize = 1_000_000;
const QUOTE: &[u8] = br#"{"from":"DE","to":"FR","weight_g":800,"service":"standard"}"#;
/// A minute: longer than anything here takes, so what takes longer is lost.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
/// 20 ms between two tries to connect: a balancer always accepts, and a replica that restarts does so soon.
const AGAIN: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// What is asked, again and again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asks {
    Quote,
    Upload,
    Download,
}

impl Asks {
    fn request(self) -> (Method, String, Bytes) {
        match self {
            Self::Quote => (Method::POST, "/quote".into(), Bytes::from_static(QUOTE)),
            Self::Upload => (Method::POST, "/upload".into(), vec![b'x'; LARGE].into()),
            Self::Download => (Method::GET, format!("/download?bytes={LARGE}"), Bytes::new()),
        }
    }

    fn is_right(self, body: &Bytes) -> bool {
        match self {
            Self::Quote => body == QUOTE,
            Self::Upload => *body == LARGE.to_string().as_bytes(),
            Self::Download => body.len() == LARGE,
        }
    }
}

/// A client's connection; dropping it closes it.
pub(super) enum Connection {
    Http1(http1::SendRequest<Sent>),
    Http2(http2::SendRequest<Sent>),
}

impl Connection {
    async fn open(client: &Client, version: Version) -> hyper::Result<Option<Self>> {
        let Ok(stream) = TcpStream::connect(client.target).await else { return Ok(None) };
        // Small requests must not wait for the answer's acknowledgement.
        let _ = stream.set_nodelay(true);
        let stream = TokioIo::new(stream);
        Client::counted(&client.counts.connections);
        Ok(Some(match version {
            Version::Http1 => {
                let (sender, connection) = http1::handshake(stream).await?;
                tokio::spawn(connection);
                Self::Http1(sender)
            }
            Version::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
                tokio::spawn(connection);
                Self::Http2(sender)
            }
        }))
    }

    async fn is_ready(&mut self) -> bool {
        match self {
            Self::Http1(sender) => sender.ready().await.is_ok(),
            Self::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    async fn send(&mut self, request: Request<Sent>) -> Result<Response<Incoming>, TrySendError<Request<Sent>>> {
        match self {
            Self::Http1(sender) => sender.try_send_request(request).await,
            Self::Http2(sender) => sender.try_send_request(request).await,
        }
    }
}

/// The client's connection, or a new one; none where it stops before there is one.
pub(super) async fn connection(client: &Client, version: Version, kept: Option<Connection>) -> Option<Connection> {
    if let Some(mut kept) = kept
        && kept.is_ready().await
    {
        return Some(kept);
    }
    while !client.stops() {
        if let Ok(Some(mut opened)) = Connection::open(client, version).await
            && opened.is_ready().await
        {
            return Some(opened);
        }
        sleep(AGAIN).await;
    }
    None
}

/// A request of this version's form.
pub(super) fn request(client: &Client, version: Version, method: Method, path: &str, body: Sent) -> Request<Sent> {
    let host = client.target.to_string();
    let builder = Request::builder().method(method);
    let builder = match version {
        Version::Http1 => builder.uri(path).header(header::HOST, host),
        Version::Http2 => builder.uri(format!("http://{host}{path}")),
    };
    builder.body(body).expect("a request")
}

/// Sends a request once, on `kept` or on another connection; gives the connection and the response's head.
pub(super) async fn send_once(
    client: &Client,
    version: Version,
    mut kept: Option<Connection>,
    mut request: Request<Sent>,
) -> Option<(Connection, hyper::Result<Response<Incoming>>)> {
    loop {
        let mut connection = connection(client, version, kept.take()).await?;
        match connection.send(request).await {
            Ok(response) => return Some((connection, Ok(response))),
            Err(mut error) => match error.take_message() {
                Some(unsent) => {
                    Client::counted(&client.counts.moved);
                    request = unsent;
                }
                None => return Some((connection, Err(error.into_error()))),
            },
        }
    }
}

/// One request after the other, until the client stops.
pub(super) async fn run(client: Client, version: Version, asks: Asks) {
    let mut kept = None;
    while !client.stops() {
        let (method, path, body) = asks.request();
        let body = Full::new(body).boxed_unsync();
        let request = request(&client, version, method, &path, body);
        if let Ok(connection) = timeout(PATIENCE, exchange(&client, version, asks, kept.take(), request)).await {
            kept = connection;
        } else {
            Client::counted(&client.counts.sent);
            client.counts.lost(|| format!("{asks:?} {version:?}: no answer in {PATIENCE:?}"));
        }
        sleep(client.pause).await;
    }
}

/// Counts one; gives the connection where it may be used again.
async fn exchange(
    client: &Client,
    version: Version,
    asks: Asks,
    kept: Option<Connection>,
    request: Request<Sent>,
) -> Option<Connection> {
    let (connection, response) = send_once(client, version, kept, request).await?;
    let counts = &client.counts;
    let result = match response {
        Ok(response) => whole(response).await,
        Err(error) if was_refused(&error) => {
            Client::counted(&counts.moved);
            return None;
        }
        Err(error) => Err(error),
    };
    Client::counted(&counts.sent);
    match result {
        Ok((status, body)) if status.is_success() && asks.is_right(&body) => {
            Client::counted(&counts.answered);
            return Some(connection);
        }
        Ok((status, body)) => counts.wrong(|| format!("{asks:?} {version:?}: {status}, {} bytes", body.len())),
        Err(error) => counts.lost(|| format!("{asks:?} {version:?}: {error:?}")),
    }
    None
}

/// Whether the peer says that it has not looked at a request: RFC 9113, section 8.7.
pub(super) fn was_refused(error: &hyper::Error) -> bool {
    let Some(error) = error.source().and_then(|source| source.downcast_ref::<h2::Error>()) else { return false };
    let is_behind = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
    error.is_remote() && (is_behind || error.reason() == Some(h2::Reason::REFUSED_STREAM))
}

async fn whole(response: Response<Incoming>) -> hyper::Result<(StatusCode, Bytes)> {
    let (head, body) = response.into_parts();
    Ok((head.status, body.collect().await?.to_bytes()))
}
