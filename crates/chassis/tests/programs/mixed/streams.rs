//! What lasts: event streams, WebSockets and streams of gRPC. A replica that drains ends each in its own words, and the
//! client goes on elsewhere. For these, `sent` and `answered` count events or messages, `lost` the ends in no words.
//!
//! Next: `hostile`.

use std::{convert::Infallible, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt, stream};
use http::{HeaderValue, Method, Response, header};
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::{
    net::TcpStream,
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};

use super::{
    Client,
    exchange::{self, PATIENCE, Version},
};

/// 5 s: some hundred times the pause between two events.
const SILENCE: Duration = Duration::from_secs(5);
/// 256 bytes: above `server.min_rate` (240 a second) on a busy machine as well.
const MESSAGE: u32 = 256;

/// Events 1, 2, 3 … without a gap, over as many streams as it takes.
pub(super) async fn events(client: Client, version: Version) {
    let mut last = 0;
    while !client.stops() {
        let mut request = exchange::request(&client, version, Method::GET, "/events", Empty::new().boxed_unsync());
        request.headers_mut().insert("last-event-id", HeaderValue::from(last));
        match exchange::send_once(&client, version, None, request).await {
            Some((_connection, Ok(response))) if response.status().is_success() => {
                follow(&client, response, &mut last).await;
            }
            Some((_, Ok(response))) => client.counts.wrong(|| format!("events: {}", response.status())),
            Some((_, Err(error))) if exchange::was_refused(&error) => Client::counted(&client.counts.moved),
            Some((_, Err(error))) => client.counts.lost(|| format!("events: {error:?}")),
            None => return,
        }
        sleep(client.pause).await;
    }
}

/// Reads one stream to its end.
async fn follow(client: &Client, response: Response<Incoming>, last: &mut u64) {
    let (counts, mut body, mut text) = (&client.counts, response.into_body(), String::new());
    while !client.stops() {
        match timeout(SILENCE, body.frame()).await {
            Ok(Some(Ok(frame))) => text += &String::from_utf8_lossy(&frame.into_data().unwrap_or_default()),
            Ok(None) => return Client::counted(&counts.ends),
            Ok(Some(Err(error))) => return counts.lost(|| format!("events: {error:?}")),
            Err(_) => return counts.lost(|| format!("events: silence for {SILENCE:?}")),
        }
        while let Some((event, rest)) = text.split_once("\n\n") {
            let id = event.lines().find_map(|line| line.strip_prefix("id: ")?.parse::<u64>().ok());
            if let Some(id) = id {
                Client::counted(&counts.sent);
                if id == *last + 1 {
                    Client::counted(&counts.answered);
                } else {
                    counts.wrong(|| format!("events: {id} behind {last}"));
                }
                *last = id;
            }
            text = rest.to_owned();
        }
    }
}

/// Messages that come back, over as many WebSockets as it takes. One that crosses a close is sent again.
pub(super) async fn socket(client: Client) {
    let (mut number, mut kept) = (0_u64, None);
    while !client.stops() {
        let Some(mut socket) = opened(&client, kept.take()).await else { return };
        let end = converse(&client, &mut socket, &mut number).await;
        if client.stops() {
            let _ = socket.close(None).await;
        }
        match end {
            End::Told => {
                Client::counted(&client.counts.ends);
                // The answer to a close goes out with the next read.
                let _ = timeout(SILENCE, socket.next()).await;
            }
            End::Cut(why) => client.counts.lost(|| format!("socket: {why}")),
            End::Goes => kept = Some(socket),
        }
    }
}

async fn opened(client: &Client, kept: Option<WebSocketStream<TcpStream>>) -> Option<WebSocketStream<TcpStream>> {
    if kept.is_some() {
        return kept;
    }
    while !client.stops() {
        if let Ok(stream) = TcpStream::connect(client.target).await {
            Client::counted(&client.counts.connections);
            match client_async(format!("ws://{}/socket", client.target), stream).await {
                Ok((socket, _)) => return Some(socket),
                Err(error) => client.counts.wrong(|| format!("socket: {error}")),
            }
        }
        sleep(client.pause).await;
    }
    None
}

/// How an exchange of messages ended.
enum End {
    /// It did not.
    Goes,
    /// By 1001, or as the other form of stream says it.
    Told,
    Cut(String),
}

/// One message and its echo, and what comes in the pause behind it.
async fn converse(client: &Client, socket: &mut WebSocketStream<TcpStream>, number: &mut u64) -> End {
    let text = number.to_string();
    if let Err(error) = socket.send(Message::text(&text)).await {
        return End::Cut(error.to_string());
    }
    match heard(socket, PATIENCE).await {
        Ok(Some(echo)) => {
            Client::counted(&client.counts.sent);
            *number += 1;
            if echo == text {
                Client::counted(&client.counts.answered);
            } else {
                client.counts.wrong(|| format!("socket: {echo:?} for {text:?}"));
            }
        }
        Ok(None) => return End::Cut(format!("no echo in {PATIENCE:?}")),
        Err(End::Told) => {
            Client::counted(&client.counts.moved);
            return End::Told;
        }
        Err(end) => return end,
    }
    match heard(socket, client.pause).await {
        Ok(None) => End::Goes,
        Ok(Some(text)) => End::Cut(format!("{text:?} unasked")),
        Err(end) => end,
    }
}

/// The next text within `bound`; none if none comes.
async fn heard(socket: &mut WebSocketStream<TcpStream>, bound: Duration) -> Result<Option<String>, End> {
    let next = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(Some(text.to_string())),
                Some(Ok(Message::Close(Some(frame)))) if frame.code == CloseCode::Away => return Err(End::Told),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => return Err(End::Cut(format!("{other:?}"))),
            }
        }
    };
    timeout(bound, next).await.unwrap_or(Ok(None))
}

/// Messages that come back, over as many streams of gRPC as it takes. One that crosses UNAVAILABLE is sent again.
pub(super) async fn grpc(client: Client) {
    let mut number = 0_u64;
    while !client.stops() {
        let (sender, receiver) = mpsc::channel::<Bytes>(1);
        let messages = stream::unfold(receiver, async |mut receiver| {
            let message = receiver.recv().await?;
            Some((Ok::<_, Infallible>(Frame::data(message)), receiver))
        });
        let body = StreamBody::new(messages).boxed_unsync();
        let mut request = exchange::request(&client, Version::Http2, Method::POST, "/ledger.Echo/Stream", body);
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
        match exchange::send_once(&client, Version::Http2, None, request).await {
            Some((_connection, Ok(response))) if response.status().is_success() => {
                match call(&client, response, sender, &mut number).await {
                    End::Told | End::Goes => Client::counted(&client.counts.ends),
                    End::Cut(why) => client.counts.lost(|| format!("grpc: {why}")),
                }
            }
            Some((_, Ok(response))) => client.counts.wrong(|| format!("grpc: {}", response.status())),
            Some((_, Err(error))) if exchange::was_refused(&error) => Client::counted(&client.counts.moved),
            Some((_, Err(error))) => client.counts.lost(|| format!("grpc: {error:?}")),
            None => return,
        }
        sleep(client.pause).await;
    }
}

/// One stream, to its end.
async fn call(client: &Client, response: Response<Incoming>, sender: mpsc::Sender<Bytes>, number: &mut u64) -> End {
    let (mut body, mut received) = (response.into_body(), BytesMut::new());
    while !client.stops() {
        let message = framed(*number);
        if sender.send(message.clone()).await.is_err() {
            return ended(&mut body).await;
        }
        while received.len() < message.len() {
            match timeout(PATIENCE, body.frame()).await {
                Ok(Some(Ok(frame))) if frame.is_data() => received.extend(frame.into_data().unwrap_or_default()),
                Ok(Some(Ok(frame))) => {
                    Client::counted(&client.counts.moved);
                    return status(&frame);
                }
                other => return End::Cut(format!("{other:?}")),
            }
        }
        Client::counted(&client.counts.sent);
        *number += 1;
        if received.split() == message {
            Client::counted(&client.counts.answered);
        } else {
            client.counts.wrong(|| "grpc: another message".into());
        }
        sleep(client.pause).await;
    }
    drop(sender);
    ended(&mut body).await
}

/// What is left of a stream: its status.
async fn ended(body: &mut Incoming) -> End {
    match timeout(PATIENCE, body.frame()).await {
        Ok(Some(Ok(frame))) => status(&frame),
        other => End::Cut(format!("{other:?}")),
    }
}

/// 0 (OK) and 14 (UNAVAILABLE) are what the program says.
fn status(frame: &Frame<Bytes>) -> End {
    let status = frame.trailers_ref().and_then(|trailers| trailers.get("grpc-status"));
    match status.map(HeaderValue::as_bytes) {
        Some(b"0" | b"14") => End::Told,
        other => End::Cut(format!("status {other:?}")),
    }
}

fn framed(number: u64) -> Bytes {
    let mut message = BytesMut::new();
    message.put_u8(0);
    message.put_u32(MESSAGE);
    message.put_u64(number);
    message.put_bytes(b'x', MESSAGE as usize - 8);
    message.freeze()
}
