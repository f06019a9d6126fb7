//! One battery for every door: its cases, and what a front cannot do of them.

use std::{
    hash::{DefaultHasher, Hasher},
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    door::Door,
    harness::{
        http::{Connection, Failure, Response},
        within,
    },
};

/// What a door did wrong.
pub(crate) type Wrong = String;

async fn ask(address: SocketAddr, request: &str) -> Result<Response, Wrong> {
    ask_bytes(address, request.as_bytes()).await
}

async fn ask_bytes(address: SocketAddr, request: &[u8]) -> Result<Response, Wrong> {
    sent(address, request).await?.receive().await.map_err(failed)
}

async fn sent(address: SocketAddr, request: &[u8]) -> Result<Connection, Wrong> {
    let mut connection = Connection::open(address).await.map_err(failed)?;
    connection.send(request).await.map_err(failed).map(|()| connection)
}

#[allow(clippy::needless_pass_by_value, reason = "of `map_err`")]
fn failed(failure: Failure) -> Wrong {
    format!("{failure:?}")
}

async fn get(address: SocketAddr, path: &str) -> Result<Response, Wrong> {
    ask(address, &format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")).await
}

#[allow(clippy::needless_pass_by_value, reason = "callers read better")]
fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), Wrong> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?}, not {expected:?}")) }
}

/// One of the battery's cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Hello,
    Echo,
    NoBody,
    Cookies,
    Large,
    Stream,
    Unread,
    BadBody,
    Disconnect,
}

impl Case {
    pub(crate) const ALL: [Self; 9] = [
        Self::Hello,
        Self::Echo,
        Self::NoBody,
        Self::Cookies,
        Self::Large,
        Self::Stream,
        Self::Unread,
        Self::BadBody,
        Self::Disconnect,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Echo => "echo",
            Self::NoBody => "no body",
            Self::Cookies => "cookies",
            Self::Large => "64 MiB",
            Self::Stream => "stream",
            Self::Unread => "unread",
            Self::BadBody => "bad body",
            Self::Disconnect => "disconnect",
        }
    }

    /// Asks `address`, which is behind `door`.
    pub(crate) async fn run(self, door: Door, address: SocketAddr) -> Result<(), Wrong> {
        match self {
            Self::Hello => hello(door, address).await,
            Self::Echo => echo(door, address).await,
            Self::NoBody => without_a_body(door, address).await,
            Self::Cookies => cookies(door, address).await,
            Self::Large => upload_and_download(door, address).await,
            Self::Stream => sse(door, address).await,
            Self::Unread => unread(door, address).await,
            Self::BadBody => bad_body(door, address).await,
            Self::Disconnect => disconnect(door, address).await,
        }
    }

    /// What of it the front cannot do, as far as it is left out.
    pub(crate) fn left_out(self, door: Door) -> Option<&'static str> {
        match self {
            Self::Echo if !door.can_send_slashes() => Some("no %2F in a path, no chunks without a length"),
            Self::Echo if !door.can_send_chunks() => Some("no chunks without a length"),
            Self::Unread if door.holds_back_early_answers() => Some("not for sure"),
            Self::BadBody if door.hides_a_failure() => Some("not without a length"),
            Self::Disconnect if door.is_blind() => Some("not at all"),
            _ => None,
        }
    }
}

async fn hello(_: Door, address: SocketAddr) -> Result<(), Wrong> {
    let answer = get(address, "/hello/").await?;
    expect("status", answer.status, 200)?;
    expect("type", answer.header("content-type"), Some("text/plain; charset=utf-8"))?;
    expect("id", answer.header("x-request-id").map(str::len), Some(32))?;
    expect("body", &*answer.text(), "Hello, World!\n")?;
    expect("nothing there", get(address, "/nothing").await?.status, 404)
}

async fn echo(door: Door, address: SocketAddr) -> Result<(), Wrong> {
    let path = if door.can_send_slashes() { "/echo/a%2Fb/%C3%A9" } else { "/echo/a/%C3%A9" };
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let request = format!(
            "{method} {path}?q=%26&r=1+2 HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\
             x-test: one\r\nx-test: two\r\nconnection: close\r\n\r\n"
        );
        let answer = ask(address, &request).await?;
        expect("status", answer.status, 200).map_err(|wrong| format!("{method} {wrong}: {}", answer.text()))?;
        let echo: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        expect("method", &echo["method"], &Value::from(method))?;
        expect("path", &echo["path"], &Value::from(path))?;
        expect("query", &echo["query"], &Value::from("q=%26&r=1+2"))?;
        // One line or two, with a space or without.
        let values = values(&echo, "x-test").join(",").replace(' ', "");
        expect("both values", &*values, "one,two")?;
        expect("host", self::values(&echo, "host"), vec!["test".to_owned()])?;
    }
    let body = "{\"a\":1}";
    let request = format!(
        "POST /echo HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    let echo: Value = serde_json::from_slice(&ask(address, &request).await?.body).map_err(|error| error.to_string())?;
    expect("body", &echo["body"], &Value::from(body))?;
    expect("content type", values(&echo, "content-type"), vec!["application/json".to_owned()])?;
    let chunked = "POST /echo HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
                   3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let answer = ask(address, chunked).await?;
    if door.can_send_chunks() {
        let echo: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        expect("chunked body", &echo["body"], &Value::from("abcde"))
    } else {
        expect("chunked without a length", answer.status, 411)
    }
}

fn values(echo: &Value, name: &str) -> Vec<String> {
    let headers = echo["headers"].as_array().into_iter().flatten();
    headers.filter(|header| header[0] == name).filter_map(|header| header[1].as_str().map(str::to_owned)).collect()
}

async fn without_a_body(_: Door, address: SocketAddr) -> Result<(), Wrong> {
    let request = "HEAD /hello/ HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    let mut connection = sent(address, request.as_bytes()).await?;
    expect("HEAD", connection.receive_head().await.map_err(failed)?.status, 200)?;
    expect("nothing behind HEAD", connection.receive_bytes(1).await.is_err(), true)?;
    for (path, status) in [("/no-content", 204), ("/not-modified", 304)] {
        let answer = get(address, path).await?;
        expect(path, (answer.status, answer.body.len()), (status, 0))?;
    }
    Ok(())
}

async fn cookies(_: Door, address: SocketAddr) -> Result<(), Wrong> {
    let headers = get(address, "/cookies").await?.headers;
    let cookies = headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| &**value);
    expect("cookies", cookies.collect(), vec!["a=1", "b=2"])
}

/// 64 MiB.
const LARGE: usize = 64 * 1024 * 1024;

async fn upload_and_download(_: Door, address: SocketAddr) -> Result<(), Wrong> {
    let mut large = large();
    let expected = format!("{LARGE} {:016x}\n", sum(&large));
    let head = format!("POST /upload HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {LARGE}\r\n\r\n");
    large.splice(0..0, head.into_bytes());
    let answer = ask_bytes(address, &large).await?;
    expect("upload", &*answer.text(), &*expected)?;
    drop(large);
    let answer = get(address, "/download?bytes=1000000&length=true").await?;
    expect("announced bytes", answer.body.len(), 1_000_000)?;
    let answer = get(address, &format!("/download?bytes={LARGE}")).await?;
    expect("bytes", answer.body.len(), LARGE)?;
    let found = format!("{LARGE} {:016x}\n", sum(&answer.body));
    expect("download", &*found, &*expected)
}

/// As /download makes it.
fn large() -> Vec<u8> {
    let mut large = vec![b'x'; LARGE];
    for (at, part) in large.chunks_mut(16 * 1024).enumerate() {
        part[..8].copy_from_slice(&(at * 16 * 1024).to_le_bytes());
    }
    large
}

fn sum(bytes: &[u8]) -> u64 {
    let mut sum = DefaultHasher::new();
    sum.write(bytes);
    sum.finish()
}

async fn sse(_: Door, address: SocketAddr) -> Result<(), Wrong> {
    let begun = Instant::now();
    let mut connection = sent(address, b"GET /sse HTTP/1.1\r\nhost: test\r\n\r\n").await?;
    let head = connection.receive_head().await.map_err(failed)?;
    expect("status", head.status, 200)?;
    connection.receive_bytes(4).await.map_err(failed)?;
    let first = begun.elapsed();
    println!("first byte of a stream after {first:?}");
    // It takes a few milliseconds; a busy machine may take longer, and one that holds the stream back never ends.
    expect("a stream's first byte is not held back", first < Duration::from_secs(2), true)
}

async fn unread(door: Door, address: SocketAddr) -> Result<(), Wrong> {
    if door.holds_back_early_answers() {
        return Ok(());
    }
    let (start, body) = ("POST /unread HTTP/1.1\r\nhost: test\r\nconnection: close", vec![b'x'; 4 * 1024 * 1024]);
    let head = format!("{start}\r\ncontent-length: {}\r\n\r\n", body.len());
    for turn in 0..20 {
        let (mut connection, mut writer) = both_ways(address).await.map_err(|error| error.to_string())?;
        let (head, body) = (head.clone(), body.clone());
        // The answer may come before all is sent, and a front may read no more of it then.
        let sending = tokio::spawn(async move {
            writer.write_all(head.as_bytes()).await?;
            writer.write_all(&body).await
        });
        let answer = connection.receive().await;
        sending.abort();
        let answer = answer.map_err(|failure| format!("turn {turn}: {failure:?}"))?;
        expect("early answer", (answer.status, &*answer.text()), (200, "not read\n"))?;
    }
    Ok(())
}

/// A connection, and a second handle to write on it.
async fn both_ways(address: SocketAddr) -> std::io::Result<(Connection, TcpStream)> {
    let stream = TcpStream::connect(address).await?.into_std()?;
    let writer = TcpStream::from_std(stream.try_clone()?)?;
    Ok((Connection::over(TcpStream::from_std(stream)?), writer))
}

async fn bad_body(door: Door, address: SocketAddr) -> Result<(), Wrong> {
    for length in [true, false] {
        let answer = get(address, &format!("/bad-body?length={length}")).await;
        if !length && door.hides_a_failure() {
            continue;
        }
        if let Ok(answer) = answer {
            return Err(format!("length={length}: a failed body looks whole: {} {:?}", answer.status, answer.text()));
        }
    }
    Ok(())
}

async fn disconnect(door: Door, address: SocketAddr) -> Result<(), Wrong> {
    if door.is_blind() { Ok(()) } else { disconnect_all(&[address]).await }
}

/// A client leaves at each of these doors of one program: its handlers are told, which takes seconds for all alike.
pub(crate) async fn disconnect_all(doors: &[SocketAddr]) -> Result<(), Wrong> {
    let Some(&first) = doors.first() else { return Ok(()) };
    let count = async |of: &str| get(first, of).await.ok()?.text().parse::<usize>().ok();
    let before = count("/slow/cancelled").await.ok_or("no count")?;
    let mut connections = Vec::new();
    for &door in doors {
        connections.push(sent(door, b"GET /slow?ms=12000 HTTP/1.1\r\nhost: test\r\n\r\n").await?);
    }
    // Once the handlers run, the clients leave.
    let all = doors.len();
    let running = within(Duration::from_secs(5), async || (count("/slow/running").await? == all).then_some(()));
    running.await.ok_or("the handler does not run")?;
    drop(connections);
    // Over TCP each has 5 s more, as its client may have ended its side alone. One that is not cancelled ends by itself after
    // 12 s, and is not counted.
    let found =
        within(Duration::from_secs(9), async || (count("/slow/cancelled").await? >= before + all).then_some(()));
    found.await.ok_or_else(|| "the handler went on after its client had left".to_owned())
}
