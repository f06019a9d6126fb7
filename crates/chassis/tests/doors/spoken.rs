//! One request in each protocol that the app speaks itself, and its answer in one form: for what must be the same whatever
//! the door.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::{
    Request, Uri,
    body::{Body, Frame},
    client::conn::http2,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    fastcgi::peer::{PARAMS, Peer, STDIN, begin, pairs, record},
    harness::{
        http::{Connection, Response, parse_head},
        server::Server,
    },
    packet::packet,
};

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    Http10,
    Http1,
    Http2,
    Fastcgi,
    Uwsgi,
}

/// A request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) fields: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

/// The battery app, which is asked over all of them.
pub(crate) async fn app(settings: &[(&str, &str)]) -> Server {
    let mut all = vec![("APP__SERVER__LISTEN", "http://127.0.0.1:0,fastcgi://127.0.0.1:0,uwsgi://127.0.0.1:0")];
    all.extend_from_slice(settings);
    Server::start_example("battery", &all).await
}

impl Spoken {
    pub(crate) const ALL: [Self; 5] = [Self::Http10, Self::Http1, Self::Http2, Self::Fastcgi, Self::Uwsgi];

    /// A GET.
    pub(crate) async fn get(self, server: &Server, target: &str, fields: &[(&str, &str)]) -> Response {
        self.ask(server, Asked { method: "GET", target, fields, body: b"" }).await
    }

    pub(crate) async fn ask(self, server: &Server, asked: Asked<'_>) -> Response {
        let answer = async {
            match self {
                Self::Http10 | Self::Http1 => http1(self, server, asked).await,
                Self::Http2 => http2(server, asked, Full::new(Bytes::copy_from_slice(asked.body))).await,
                Self::Fastcgi => fastcgi(server, asked).await,
                Self::Uwsgi => uwsgi(server, asked).await,
            }
        };
        timeout(Duration::from_secs(15), answer)
            .await
            .unwrap_or_else(|_| panic!("no answer over {self:?} to {asked:?}"))
    }

    /// Where it is spoken.
    pub(crate) async fn connect(self, server: &Server) -> TcpStream {
        let urls = server.urls();
        let url = match self {
            Self::Http10 | Self::Http1 | Self::Http2 => &urls[0],
            Self::Fastcgi => &urls[1],
            Self::Uwsgi => &urls[2],
        };
        TcpStream::connect(url.split_once("://").expect("a URL").1).await.expect("connecting")
    }

    /// A request as bytes, of a protocol that writes one as it stands. Its connection is not to be kept.
    pub(crate) fn written(self, asked: Asked<'_>) -> Vec<u8> {
        match self {
            Self::Http10 | Self::Http1 => {
                let version = if self == Self::Http10 { "1.0" } else { "1.1" };
                let line = format!("{} {} HTTP/{version}\r\nconnection: close\r\n", asked.method, asked.target);
                let host = if self == Self::Http1 { "host: test\r\n" } else { "" };
                let length = match asked.body.len() {
                    0 => String::new(),
                    bytes => format!("content-length: {bytes}\r\n"),
                };
                let fields = asked.fields.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
                let own = [line, host.to_owned(), length].into_iter();
                let head: String = own.chain(fields).chain(["\r\n".to_owned()]).collect();
                [head.as_bytes(), asked.body].concat()
            }
            Self::Fastcgi => {
                let mut bytes = begin(1, 1, 0);
                bytes.extend(record(PARAMS, 1, &pairs(&borrowed(&variables(asked))), 0));
                bytes.extend(record(PARAMS, 1, b"", 0));
                if !asked.body.is_empty() {
                    bytes.extend(record(STDIN, 1, asked.body, 0));
                }
                bytes.extend(record(STDIN, 1, b"", 0));
                bytes
            }
            Self::Uwsgi => [packet(0, &borrowed(&variables(asked))).as_slice(), asked.body].concat(),
            Self::Http2 => panic!("a connection of HTTP/2 is a conversation"),
        }
    }
}

/// The variables of CGI.
fn variables(asked: Asked<'_>) -> Vec<(String, String)> {
    let fields = asked.fields.iter().map(|(name, value)| {
        let name = name.to_ascii_uppercase().replace('-', "_");
        (if name == "CONTENT_TYPE" { name } else { format!("HTTP_{name}") }, (*value).to_owned())
    });
    let own = [("REQUEST_METHOD", asked.method), ("REQUEST_URI", asked.target), ("SERVER_PROTOCOL", "HTTP/1.1")];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let length = (!asked.body.is_empty()).then(|| ("CONTENT_LENGTH".to_owned(), asked.body.len().to_string()));
    own.into_iter().chain(length).chain(fields).collect()
}

fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

async fn http1(spoken: Spoken, server: &Server, asked: Asked<'_>) -> Response {
    let mut connection = Connection::over(spoken.connect(server).await);
    connection.send(&spoken.written(asked)).await.expect("sending");
    let head = connection.receive_head().await.unwrap_or_else(|failure| panic!("{failure:?} for {asked:?}"));
    // Whatever the head says of it: there must be nothing behind an answer to HEAD.
    let mut rest = std::mem::take(&mut connection.buffer);
    // A reset is an end as well.
    let _ = connection.stream.read_to_end(&mut rest).await;
    whole(head, rest)
}

/// `head` with its body, out of chunks where it says so.
fn whole(head: Response, rest: Vec<u8>) -> Response {
    if head.header("transfer-encoding").is_none() {
        return Response { body: rest, ..head };
    }
    let (mut body, mut rest) = (Vec::new(), rest.as_slice());
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let length = std::str::from_utf8(&rest[..end]).expect("a length");
        let length = usize::from_str_radix(length, 16).expect("a length in hex");
        body.extend(&rest[end + 2..end + 2 + length]);
        rest = &rest[end + 2 + length + 2..];
    }
    Response { body, ..head }
}

/// The same over HTTP/2, with a body in these frames.
pub(crate) async fn ask_in_frames(server: &Server, asked: Asked<'_>, frames: &[&[u8]]) -> Response {
    let frames: Vec<_> = frames.iter().map(|data| Ok(Frame::data(Bytes::copy_from_slice(data)))).collect();
    let body = StreamBody::new(stream::iter::<Vec<Result<_, Infallible>>>(frames));
    http2(server, asked, body).await
}

async fn http2<B>(server: &Server, asked: Asked<'_>, body: B) -> Response
where
    B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let stream = TokioIo::new(Spoken::Http2.connect(server).await);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.expect("HTTP/2");
    let driver = tokio::spawn(connection);
    let uri = Uri::builder().scheme("http").authority("test").path_and_query(asked.target).build().expect("a target");
    let fields = asked.fields.iter();
    let request = fields
        .fold(Request::builder().method(asked.method).uri(uri), |request, (name, value)| request.header(*name, *value));
    let request = request.body(body).expect("a request");
    let (parts, body) = sender.send_request(request).await.expect("an answer").into_parts();
    let body = body.collect().await.expect("all of it").to_bytes().to_vec();
    driver.abort();
    let text = |value: &http::HeaderValue| value.to_str().expect("a text").to_owned();
    let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    Response { status: parts.status.as_u16(), headers, body }
}

async fn fastcgi(server: &Server, asked: Asked<'_>) -> Response {
    let mut peer = Peer(Spoken::Fastcgi.connect(server).await);
    peer.send(&Spoken::Fastcgi.written(asked)).await;
    let text = peer.response_bytes(1).await;
    read(&[b"HTTP/1.1 ", text.strip_prefix(b"Status: ").expect("CGI's first line")].concat())
}

async fn uwsgi(server: &Server, asked: Asked<'_>) -> Response {
    let mut stream = Spoken::Uwsgi.connect(server).await;
    stream.write_all(&Spoken::Uwsgi.written(asked)).await.expect("sending");
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.expect("an answer");
    read(&all)
}

/// A head and all that follows.
pub(crate) fn read(all: &[u8]) -> Response {
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = parse_head(&all[..end + 4]).expect("a head");
    whole(head, all[end + 4..].to_vec())
}
