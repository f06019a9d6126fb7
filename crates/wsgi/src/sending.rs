//! The state of a response being sent: the head with the first bytes, and no more than its length.
//!
//! It never waits: only [`push`] does, with the interpreter released.
//!
//! Next: [`crate::head`].

use bytes::Bytes;
use http::{Method, Response};
use pyo3::{exceptions::PyAssertionError, prelude::*};
use tokio::sync::{
    mpsc::{Sender, error::TrySendError},
    oneshot,
};

use crate::{
    answer::{Body, Part},
    head::Head,
};

/// A response being sent, in the order of PEP 3333.
pub(crate) struct Sending {
    pub(crate) method: Method,
    /// Set, and not sent yet.
    pub(crate) head: Option<Head>,
    /// Sent with the head.
    pub(crate) reply: Option<oneshot::Sender<Response<Body>>>,
    /// Takes the channel for the rest; none if everything is sent.
    pub(crate) rest: Option<Sender<Part>>,
    /// Remaining bytes, if the length is known.
    pub(crate) left: Option<u64>,
}

/// The result of sending some bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// They were sent, and more may follow.
    Taken,
    /// The response needs no more.
    Enough,
    /// The receiver is gone.
    Gone,
}

impl Sending {
    pub(crate) fn new(method: Method, reply: oneshot::Sender<Response<Body>>) -> Self {
        Self { method, head: None, reply: Some(reply), rest: None, left: None }
    }

    /// The head goes with the first bytes that are not empty; before those only where there will be none.
    pub(crate) fn begin(&mut self, data: &[u8]) -> PyResult<Sent> {
        let Some(head) = &self.head else {
            // An iterable's first empty part may come before it.
            let message = "the application returned a body before calling start_response";
            return if data.is_empty() { Ok(Sent::Taken) } else { Err(PyAssertionError::new_err(message)) };
        };
        if head.is_bodiless(&self.method) {
            return self.send_head(&[]).map(|_| Sent::Enough);
        }
        if data.is_empty() { Ok(Sent::Taken) } else { self.send_head(data) }
    }

    pub(crate) fn send_head(&mut self, first: &[u8]) -> PyResult<Sent> {
        let missing = || PyAssertionError::new_err("the application did not call start_response");
        let head = self.head.take().ok_or_else(missing)?;
        let Some(reply) = self.reply.take() else { return Ok(Sent::Enough) };
        let is_bodiless = head.is_bodiless(&self.method);
        self.left = head.length.filter(|_| !is_bodiless);
        let (first, sent) = self.fit(first);
        let first = Bytes::copy_from_slice(first);
        let body = if is_bodiless || sent == Sent::Enough || head.length == Some(0) {
            Body::whole(first)
        } else {
            let (rest, body) = Body::parts(first, head.length);
            self.rest = Some(rest);
            body
        };
        let answered = reply.send(Response::from_parts(head.into_parts(), body));
        Ok(if answered.is_ok() { sent } else { Sent::Gone })
    }

    /// As much of `data` as the length allows.
    pub(crate) fn fit<'a>(&mut self, data: &'a [u8]) -> (&'a [u8], Sent) {
        let Some(left) = &mut self.left else { return (data, Sent::Taken) };
        let due = usize::try_from(*left).unwrap_or(usize::MAX).min(data.len());
        *left -= due as u64;
        (&data[..due], if *left == 0 { Sent::Enough } else { Sent::Taken })
    }

    /// A response without an end marker is cut off.
    pub(crate) fn give_up(&mut self) {
        self.reply = None;
        self.rest = None;
    }
}

/// Sends a part; waits with the interpreter released. False if the receiver is gone.
pub(crate) fn push(py: Python<'_>, rest: &Sender<Part>, part: Part) -> bool {
    match rest.try_send(part) {
        Ok(()) => true,
        Err(TrySendError::Closed(_)) => false,
        Err(TrySendError::Full(part)) => py.detach(|| rest.blocking_send(part).is_ok()),
    }
}
