//! A small HTTP/1.1 client that tells every way in which a request can be lost, and hides none behind a retry.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// How long an answer may take; above every timeout that a test sets.
const PATIENCE: Duration = Duration::from_secs(15);

/// How a request was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Connect(ErrorKind),
    Reset,
    EofBeforeResponse,
    EofMidResponse,
    Timeout,
    Garbage,
}

/// A response, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The first header `name` (in lower case).
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether it says that the connection ends with it.
    pub(crate) fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One request on a connection of its own.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Result<Response, Failure> {
    let mut connection = Connection::open(address).await?;
    connection.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    connection.receive().await
}

/// The status of `path` over HTTP/2 with prior knowledge.
pub(crate) async fn get_http2(address: SocketAddr, path: &str) -> Result<u16, Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request = hyper::Request::get(format!("http://{address}{path}")).body(Empty::<bytes::Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    response.into_body().collect().await?;
    driver.abort();
    Ok(status)
}

/// A connection, with what came in and was not asked for yet.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, Failure> {
        Self::open_from(None, address).await
    }

    /// The same from the address `source` of this host: all of 127.0.0.0/8 is.
    pub(crate) async fn open_from(source: Option<IpAddr>, address: SocketAddr) -> Result<Self, Failure> {
        let connecting = async {
            let Some(source) = source else { return TcpStream::connect(address).await };
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::new(source, 0))?;
            socket.connect(address).await
        };
        let connecting = timeout(PATIENCE, connecting).await.map_err(|_| Failure::Timeout)?;
        let stream = connecting.map_err(|error| Failure::Connect(error.kind()))?;
        stream.set_nodelay(true).map_err(|error| Failure::Connect(error.kind()))?;
        Ok(Self::over(stream))
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// A GET that keeps the connection.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Response, Failure> {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await?;
        self.receive().await
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(bytes).await.map_err(|_| Failure::Reset)
    }

    /// The next response.
    pub(crate) async fn receive(&mut self) -> Result<Response, Failure> {
        timeout(PATIENCE, self.read_response()).await.unwrap_or(Err(Failure::Timeout))
    }

    /// The next response, however long it takes.
    pub(crate) async fn receive_slowly(&mut self) -> Result<Response, Failure> {
        self.read_response().await
    }

    /// The status and headers of the next response; its body stays unread.
    pub(crate) async fn receive_head(&mut self) -> Result<Response, Failure> {
        timeout(PATIENCE, self.read_head()).await.unwrap_or(Err(Failure::Timeout))
    }

    /// The next `length` bytes.
    pub(crate) async fn receive_bytes(&mut self, length: usize) -> Result<Vec<u8>, Failure> {
        timeout(PATIENCE, self.read_exactly(length)).await.unwrap_or(Err(Failure::Timeout))
    }

    /// Reads until the peer ends the connection, however it does; what came is dropped. None after `bound`.
    pub(crate) async fn ended_within(&mut self, bound: Duration) -> Option<()> {
        let until_end = async {
            let mut chunk = vec![0; 16 * 1024];
            while self.stream.read(&mut chunk).await.is_ok_and(|length| length > 0) {}
        };
        timeout(bound, until_end).await.ok()
    }

    async fn read_response(&mut self) -> Result<Response, Failure> {
        let mut response = self.read_head().await?;
        response.body = self.read_body(&response).await.map_err(mid_response)?;
        Ok(response)
    }

    async fn read_head(&mut self) -> Result<Response, Failure> {
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            let nothing_yet = self.buffer.is_empty();
            self.fill().await.map_err(|failure| if nothing_yet { failure } else { mid_response(failure) })?;
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        parse_head(&head).ok_or(Failure::Garbage)
    }

    async fn read_body(&mut self, head: &Response) -> Result<Vec<u8>, Failure> {
        if head.status < 200 || head.status == 204 || head.status == 304 {
            return Ok(Vec::new());
        }
        if head.header("transfer-encoding").is_some() {
            return self.read_chunks().await;
        }
        match head.header("content-length") {
            Some(length) => self.read_exactly(length.parse().map_err(|_| Failure::Garbage)?).await,
            None => self.read_to_end().await,
        }
    }

    async fn read_chunks(&mut self) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        loop {
            let line = self.read_line().await?;
            let length = usize::from_str_radix(line.trim(), 16).map_err(|_| Failure::Garbage)?;
            body.extend(self.read_exactly(length).await?);
            self.read_exactly(2).await?;
            if length == 0 {
                return Ok(body);
            }
        }
    }

    pub(crate) async fn read_line(&mut self) -> Result<String, Failure> {
        let end = loop {
            match find(&self.buffer, b"\n") {
                Some(end) => break end + 1,
                None => self.fill().await?,
            }
        };
        let line: Vec<u8> = self.buffer.drain(..end).collect();
        String::from_utf8(line).map_err(|_| Failure::Garbage)
    }

    async fn read_exactly(&mut self, length: usize) -> Result<Vec<u8>, Failure> {
        while self.buffer.len() < length {
            self.fill().await?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn read_to_end(&mut self) -> Result<Vec<u8>, Failure> {
        loop {
            match self.fill().await {
                Ok(()) => {}
                Err(Failure::EofBeforeResponse) => return Ok(std::mem::take(&mut self.buffer)),
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn fill(&mut self) -> Result<(), Failure> {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err(Failure::EofBeforeResponse),
            Ok(_) => Ok(()),
            Err(_) => Err(Failure::Reset),
        }
    }
}

/// Whether the peer has ended an idle connection; waits until it does.
pub(crate) async fn peer_closed(connection: &Connection) {
    loop {
        if connection.stream.readable().await.is_err() {
            return;
        }
        match connection.stream.try_read(&mut [0; 1]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            _ => return,
        }
    }
}

fn mid_response(failure: Failure) -> Failure {
    match failure {
        Failure::EofBeforeResponse => Failure::EofMidResponse,
        other => other,
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

pub(crate) fn parse_head(head: &[u8]) -> Option<Response> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let headers = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Some(Response { status, headers, body: Vec::new() })
}
