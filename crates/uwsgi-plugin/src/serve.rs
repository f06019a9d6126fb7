//! One request: uWSGI's thread reads and writes, the handler runs on the service's runtime, and events pass between
//! them, one part of a body at a time.
//!
//! Next: [`chassis::replica::Embedded`], which has the routes.

use std::{io::ErrorKind, mem::MaybeUninit, time::Duration};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use chassis::replica::{Embedded, Request as Asked};
use http::response::Parts;
use http_body_util::BodyExt;
use nix::libc::{MSG_DONTWAIT, MSG_PEEK};
use socket2::SockRef;
use tokio::{
    sync::{
        mpsc::{UnboundedSender, unbounded_channel},
        oneshot,
    },
    task::AbortHandle,
    time::timeout,
};

use crate::{
    api::{Gone, Request},
    wanted,
};

/// Requests from the handler's side to uWSGI's thread.
#[derive(Debug)]
pub(crate) enum Event {
    /// The next part of the request's body.
    Wanted,
    Head(Box<Parts>),
    /// A part of the response's body; the sender waits until it is sent.
    Part(Bytes, oneshot::Sender<()>),
    End,
    /// The response's body failed, or a fault rule breaks the connection.
    Broken,
}

/// The client has not received the complete response.
#[derive(Debug)]
pub(crate) struct Lost;

impl From<Gone> for Lost {
    fn from(_: Gone) -> Self {
        Self
    }
}

/// 64 KiB: a part of a body in one read.
const PART: usize = 64 * 1024;

/// 100 ms: delay in noticing a disconnect while the handler sends nothing.
const LOOK: Duration = Duration::from_millis(100);

/// 8 MiB: the part of an unread body that is read and discarded. uWSGI closes its socket at the end, and unread data
/// would turn the close into a reset, which can destroy the response in transit.
const UNREAD: usize = 8 * 1024 * 1024;

/// Handles a request. Returns an error if its client did not get the complete response.
pub(crate) fn serve(app: &'static Embedded, mut request: Request<'_>) -> Result<(), Lost> {
    let variables = request.variables()?;
    let asked = match Asked::read(variables.iter().map(|(name, value)| (&**name, &**value))) {
        Ok(asked) => asked,
        Err(refusal) => return app.runtime().block_on(refuse(&mut request, *refusal)),
    };
    let is_chunked = asked.is_chunked() && asked.length().is_none();
    let length = if is_chunked { None } else { Some(asked.length().unwrap_or(0)) };
    let (events, heard) = unbounded_channel();
    let (feed, body) = wanted::body(length, events.clone());
    let answering = app.runtime().spawn(async move {
        let answer = app.answer(asked, Some(body)).await;
        let whole = match answer {
            Some(answer) => pass(answer, &events).await,
            None => Err(Lost),
        };
        let _ = events.send(if whole.is_ok() { Event::End } else { Event::Broken });
    });
    let mut exchange = Exchange { request, feed: Some(feed), is_chunked, _handler: Handler(answering.abort_handle()) };
    app.runtime().block_on(exchange.run(heard))
}

/// Sends a response, part by part.
async fn pass(answer: Response, events: &UnboundedSender<Event>) -> Result<(), Lost> {
    let (parts, mut body) = answer.into_parts();
    events.send(Event::Head(Box::new(parts))).map_err(|_| Lost)?;
    while let Some(frame) = body.frame().await {
        // Trailers have no place here.
        let Ok(data) = frame.map_err(|_| Lost)?.into_data() else { continue };
        let (sent, is_sent) = oneshot::channel();
        events.send(Event::Part(data, sent)).map_err(|_| Lost)?;
        is_sent.await.map_err(|_| Lost)?;
    }
    Ok(())
}

/// Aborts the handler on drop.
struct Handler(AbortHandle);

impl Drop for Handler {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Exchange<'a> {
    request: Request<'a>,
    /// None once the body has ended.
    feed: Option<UnboundedSender<Bytes>>,
    is_chunked: bool,
    _handler: Handler,
}

impl Exchange<'_> {
    async fn run(&mut self, mut heard: tokio::sync::mpsc::UnboundedReceiver<Event>) -> Result<(), Lost> {
        loop {
            let Ok(event) = timeout(LOOK, heard.recv()).await else {
                if is_gone(&self.request) {
                    return Err(Lost);
                }
                continue;
            };
            match event {
                Some(Event::Wanted) => self.feed(),
                Some(Event::Head(parts)) => head(&mut self.request, &parts)?,
                Some(Event::Part(part, sent)) => {
                    self.request.send(&part)?;
                    let _ = sent.send(());
                }
                Some(Event::End) => {
                    self.read_on();
                    return Ok(());
                }
                // Without the last event, the handler was dropped.
                Some(Event::Broken) | None => {
                    reset(&self.request);
                    return Err(Lost);
                }
            }
        }
    }

    /// Reads a part for the handler. If the client is gone, the body is closed.
    fn feed(&mut self) {
        let Some(feed) = &self.feed else { return };
        let read = if self.is_chunked { self.request.read_chunk() } else { self.request.read(PART) };
        let goes_on = read.is_ok_and(|part| {
            let is_last = part.is_empty();
            feed.send(part).is_ok() && !is_last
        });
        if !goes_on {
            self.feed = None;
        }
    }

    fn read_on(&mut self) {
        let mut left = UNREAD;
        while !self.is_chunked && left > 0 {
            match self.request.read(PART) {
                Ok(part) if !part.is_empty() => left = left.saturating_sub(part.len()),
                _ => return,
            }
        }
    }
}

fn head(request: &mut Request<'_>, parts: &Parts) -> Result<(), Lost> {
    let reason = parts.status.canonical_reason().unwrap_or("Unknown");
    request.status(&format!("{} {reason}", parts.status.as_str()))?;
    for (name, value) in &parts.headers {
        request.header(name.as_str(), value.as_bytes())?;
    }
    // A stream's first part may come much later.
    Ok(request.send_head()?)
}

async fn refuse(request: &mut Request<'_>, refusal: Response) -> Result<(), Lost> {
    let (parts, body): (Parts, Body) = refusal.into_parts();
    let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
    head(request, &parts)?;
    Ok(request.send(&body)?)
}

/// Whether the client has closed its connection: nothing waits to be read, and nothing will.
fn is_gone(request: &Request<'_>) -> bool {
    let Some(socket) = request.socket() else { return false };
    let mut byte = [MaybeUninit::uninit()];
    match SockRef::from(&socket).recv_with_flags(&mut byte, MSG_PEEK | MSG_DONTWAIT) {
        Ok(read) => read == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    }
}

/// uWSGI closes the connection in any case; only a reset shows the client that the response is incomplete.
fn reset(request: &Request<'_>) {
    if let Some(socket) = request.socket() {
        let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
    }
}
