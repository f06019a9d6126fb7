//! One request: passed to the router on its own threads, while the host's thread waits and reads what the handler asks
//! for. The response is an iterator over its parts.
//!
//! The interpreter is free while this waits. A handler whose client has left is dropped when the host closes the
//! response; before its head is out, a host does not say.
//!
//! Next: [`crate::feed`].

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use chassis::replica::{Embedded, Request};
use http::{StatusCode, header, response::Parts};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use pyo3::{
    exceptions::PyRuntimeError,
    prelude::*,
    types::{PyBytes, PyDict, PyList, PyString},
};

use crate::{
    environ,
    feed::{self, Feed},
};

type ResponseBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Answers a request: calls `start_response`, and gives the response's parts.
pub(crate) fn run<'py>(
    service: &Arc<Embedded>,
    environ: &Bound<'py, PyDict>,
    start_response: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = environ.py();
    let variables = environ::variables(environ)?;
    let request = Request::read(variables.iter().map(|(name, value)| (&**name, &**value)));
    let (parts, body, feed) = match request {
        Ok(request) => ask(py, service, environ, request)?,
        Err(refusal) => {
            let (parts, body) = refusal.into_parts();
            (parts, boxed(body), None)
        }
    };
    start_response.call1((status(&parts), headers(py, &parts)?))?;
    let open = Open { body, feed };
    let response = Response { open: Mutex::new(Some(open)), service: Arc::clone(service) };
    Ok(Bound::new(py, response)?.into_any())
}

/// The router's response; its handler may continue to read the request.
fn ask(
    py: Python<'_>,
    service: &Arc<Embedded>,
    environ: &Bound<'_, PyDict>,
    request: Request,
) -> PyResult<(Parts, ResponseBody, Option<Feed>)> {
    let (mut feed, body) = match input(environ, &request)? {
        Some(input) => {
            let (feed, body) = feed::body(input, request.length());
            (Some(feed), Some(body))
        }
        None => (None, None),
    };
    let answering = {
        let asked = Arc::clone(service);
        service.runtime().spawn(async move { asked.answer(request, body).await })
    };
    // Dropped with this call if the host gives up.
    let mut answering = Some(Answering(answering));
    loop {
        let waited = py.detach(|| service.runtime().block_on(wait(&mut answering, &mut feed)));
        match waited {
            Waited::Answered(Some(response)) => {
                let (parts, body) = response.into_parts();
                return Ok((parts, boxed(body), feed));
            }
            Waited::Answered(None) => return Err(PyRuntimeError::new_err("a fault rule breaks this connection")),
            Waited::Failed => return Err(PyRuntimeError::new_err("the service has stopped")),
            Waited::Asked => feed = read_on(py, feed),
        }
    }
}

/// A task that is aborted on drop.
struct Answering(tokio::task::JoinHandle<Option<http::Response<chassis::replica::ResponseBody>>>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.abort();
    }
}

enum Waited {
    Answered(Option<http::Response<chassis::replica::ResponseBody>>),
    /// The handler wants more of the body.
    Asked,
    Failed,
}

async fn wait(answering: &mut Option<Answering>, feed: &mut Option<Feed>) -> Waited {
    let Some(Answering(task)) = answering else { return Waited::Failed };
    tokio::select! {
        biased;
        answered = task => answered.map_or(Waited::Failed, Waited::Answered),
        () = asked(feed) => Waited::Asked,
    }
}

/// Resolves when the handler needs more of its request's body; never without one.
async fn asked(feed: &mut Option<Feed>) {
    if let Some(open) = feed {
        if open.wanted.recv().await.is_some() {
            return;
        }
        // It has dropped the body.
        *feed = None;
    }
    std::future::pending::<()>().await;
}

/// Reads from the host; if that fails, the handler gets a body error.
fn read_on(py: Python<'_>, feed: Option<Feed>) -> Option<Feed> {
    feed.and_then(|feed| feed.feed(py).unwrap_or_default())
}

/// `wsgi.input`, where there is a body in it: its length is known, or the host ends it.
fn input(environ: &Bound<'_, PyDict>, request: &Request) -> PyResult<Option<Py<PyAny>>> {
    let is_terminated = || -> PyResult<bool> {
        environ.get_item("wsgi.input_terminated")?.map_or(Ok(false), |terminated| terminated.is_truthy())
    };
    let has_body = match request.length() {
        Some(length) => length > 0,
        None => request.is_chunked() && is_terminated()?,
    };
    Ok(if has_body { environ.get_item("wsgi.input")?.map(Bound::unbind) } else { None })
}

fn boxed<B>(body: B) -> ResponseBody
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    body.map_err(Into::into).boxed_unsync()
}

fn status(parts: &Parts) -> String {
    format!("{} {}", parts.status.as_str(), parts.status.canonical_reason().unwrap_or("Unknown"))
}

/// A list of tuples of native strings. A body without a type gets the default that recipients assume (RFC 9110, section
/// 8.3), since `wsgiref.validate` requires one.
fn headers<'py>(py: Python<'py>, parts: &Parts) -> PyResult<Bound<'py, PyList>> {
    let text = |bytes: &[u8]| PyString::new(py, &bytes.iter().map(|byte| char::from(*byte)).collect::<String>());
    let pairs = parts.headers.iter().map(|(name, value)| (text(name.as_str().as_bytes()), text(value.as_bytes())));
    let list = PyList::new(py, pairs.collect::<Vec<_>>())?;
    let has_body = !matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if has_body && !parts.headers.contains_key(header::CONTENT_TYPE) {
        list.append((text(b"content-type"), text(b"application/octet-stream")))?;
    }
    Ok(list)
}

/// A response's parts, as an iterator for the host.
#[pyclass(frozen, module = "service")]
struct Response {
    /// None when it is over.
    open: Mutex<Option<Open>>,
    service: Arc<Embedded>,
}

struct Open {
    body: ResponseBody,
    feed: Option<Feed>,
}

enum Next {
    Frame(Option<Result<Frame<Bytes>, Box<dyn std::error::Error + Send + Sync>>>),
    Asked,
}

impl Open {
    async fn next(&mut self) -> Next {
        tokio::select! {
            biased;
            frame = self.body.frame() => Next::Frame(frame),
            () = asked(&mut self.feed) => Next::Asked,
        }
    }
}

#[pymethods]
impl Response {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        // Taken out: no lock is held while this waits.
        let Some(mut open) = self.take() else { return Ok(None) };
        loop {
            match py.detach(|| self.service.runtime().block_on(open.next())) {
                Next::Asked => open.feed = read_on(py, open.feed.take()),
                Next::Frame(None) => return Ok(None),
                Next::Frame(Some(Err(error))) => {
                    return Err(PyRuntimeError::new_err(format!("the response was cut off: {error}")));
                }
                Next::Frame(Some(Ok(frame))) => {
                    // Trailers have no place in WSGI.
                    let Some(data) = frame.data_ref().filter(|data| !data.is_empty()) else { continue };
                    let bytes = PyBytes::new(py, data);
                    *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(open);
                    return Ok(Some(bytes));
                }
            }
        }
    }

    /// The host needs no more: the response is dropped.
    fn close(&self, py: Python<'_>) {
        let open = self.take();
        let _inside = self.service.runtime().enter();
        py.detach(|| drop(open));
    }
}

impl Response {
    fn take(&self) -> Option<Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
