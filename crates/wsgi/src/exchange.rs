//! One request: the application is called, and its output is sent as it is produced.
//!
//! The head goes out with the first bytes that are not empty, or at the end (PEP 3333). Until then `start_response` may
//! be called again with `exc_info`, and a failure is a plain 500; after that a failure breaks the transfer. `close()` is
//! called whatever happens, also when the client has left, and a response ends after it.
//!
//! Next: [`crate::sending`].

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::Response;
use pyo3::{
    exceptions::{PyAssertionError, PyBrokenPipeError, PyOSError, PyTypeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyList, PyTuple, PyType},
};
use tokio::runtime::Handle;

use crate::{
    answer::{Body, Part},
    environ,
    errors::Errors,
    head::Head,
    input::Input,
    sending::{Sending, Sent, push},
    threads::Job,
};

/// Handles `job`; if it fails before the head is sent, its reply is dropped.
pub(crate) fn run(py: Python<'_>, callable: &Py<PyAny>, job: Job, runtime: &Handle) {
    if let Err(error) = answer(py, callable, job, runtime) {
        log(py, &error, "the application failed");
    }
}

fn answer(py: Python<'_>, callable: &Py<PyAny>, job: Job, runtime: &Handle) -> PyResult<()> {
    let Job { parts, body, connection, reply, .. } = job;
    let input = Bound::new(py, Input::new(body, runtime))?;
    let errors = Bound::new(py, Errors::default())?;
    let environ = environ::build(py, &parts, &connection, &input, &errors)?;
    let start = Bound::new(py, StartResponse(Mutex::new(Sending::new(parts.method, reply))))?;
    let answered = callable.bind(py).call1((environ, &start)).and_then(|given| {
        let sent = start.get().send_all(py, &given);
        // Its failure does not affect the response that was sent.
        if let Err(error) = close(&given) {
            log(py, &error, "close() failed");
        }
        sent
    });
    let finished = answered.and_then(|()| start.get().finish(py));
    start.get().lock().give_up();
    errors.get().flush();
    let input = input.get();
    let broke_off = input.has_failed();
    // The rest may have to be read, so that the connection can be reused.
    py.detach(|| input.close());
    match finished {
        // Caused by the client and not handled by the application.
        Err(error) if broke_off && error.is_instance_of::<PyOSError>(py) => {
            tracing::debug!(target: "wsgi", %error, "the request ended early because of the client");
            Ok(())
        }
        finished => finished,
    }
}

fn close(given: &Bound<'_, PyAny>) -> PyResult<()> {
    match given.getattr_opt("close")? {
        Some(close) => close.call0().map(drop),
        None => Ok(()),
    }
}

fn log(py: Python<'_>, error: &PyErr, what: &str) {
    let trace = error.traceback(py).and_then(|trace| trace.format().ok()).unwrap_or_default();
    tracing::error!(target: "wsgi", error = %format_args!("{trace}{error}"), "{what}");
}

/// `start_response`; it returns `write`.
#[pyclass(frozen)]
struct StartResponse(Mutex<Sending>);

#[pymethods]
impl StartResponse {
    #[pyo3(signature = (status, headers, exc_info=None, /))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        status: &Bound<'py, PyAny>,
        headers: &Bound<'py, PyAny>,
        exc_info: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let head = Head::read(status, headers)?;
        {
            let mut sending = slf.get().lock();
            match exc_info {
                Some(exc_info) if sending.reply.is_none() => return Err(raised(&exc_info)?),
                None if sending.reply.is_none() || sending.head.is_some() => {
                    return Err(PyAssertionError::new_err("start_response was called twice without exc_info"));
                }
                _ => sending.head = Some(head),
            }
        }
        slf.getattr("write")
    }

    /// For applications that cannot give an iterable.
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        let bytes = data.as_bytes();
        if self.lock().left.is_some_and(|left| left < bytes.len() as u64) {
            return Err(PyValueError::new_err("write() exceeds Content-Length"));
        }
        match self.send(py, bytes)? {
            Sent::Taken | Sent::Enough => Ok(()),
            Sent::Gone => Err(PyBrokenPipeError::new_err("the client disconnected")),
        }
    }
}

/// The exception of `exc_info`, with its traceback.
fn raised(exc_info: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let wrong = |_| PyTypeError::new_err("exc_info must be a tuple of three, as from sys.exc_info()");
    let (_, value, trace) =
        exc_info.extract::<(Bound<'_, PyType>, Bound<'_, PyAny>, Bound<'_, PyAny>)>().map_err(wrong)?;
    Ok(PyErr::from_value(value.call_method1("with_traceback", (trace,))?))
}

impl StartResponse {
    fn lock(&self) -> MutexGuard<'_, Sending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the application's whole output.
    fn send_all(&self, py: Python<'_>, given: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Some(all) = in_memory(given)? {
            return self.send_last(py, &all);
        }
        for part in given.try_iter()? {
            let part = part?;
            if self.send(py, bytes(&part)?)? != Sent::Taken {
                break;
            }
        }
        Ok(())
    }

    /// Sends the complete rest, with its length.
    fn send_last(&self, py: Python<'_>, all: &[u8]) -> PyResult<()> {
        {
            let mut sending = self.lock();
            if let Some(head) = sending.head.take_if(|head| head.length.is_none()) {
                if let Some(reply) = sending.reply.take() {
                    let data = if head.is_bodiless(&sending.method) { &[] } else { all };
                    let body = Body::whole(Bytes::copy_from_slice(data));
                    // If the receiver is gone, it is not needed.
                    let _ = reply.send(Response::from_parts(head.into_parts(), body));
                }
                return Ok(());
            }
        }
        self.send(py, all).map(drop)
    }

    /// Sends a part; waits for a slow client with the interpreter released.
    fn send(&self, py: Python<'_>, data: &[u8]) -> PyResult<Sent> {
        let (rest, part, sent) = {
            let mut sending = self.lock();
            if sending.reply.is_some() {
                return sending.begin(data);
            }
            let Some(rest) = sending.rest.clone() else { return Ok(Sent::Enough) };
            if data.is_empty() {
                return Ok(Sent::Taken);
            }
            let (data, sent) = sending.fit(data);
            (rest, Part::Data(Bytes::copy_from_slice(data)), sent)
        };
        // Not under the lock: another thread of the application may write as well, and holds the interpreter then.
        Ok(if push(py, &rest, part) { sent } else { Sent::Gone })
    }

    /// Marks the response's end, unless data is missing.
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        let rest = {
            let mut sending = self.lock();
            if sending.reply.is_some() {
                sending.send_head(&[])?;
            }
            if sending.rest.is_some() && sending.left.is_some_and(|left| left > 0) {
                let is_heard = sending.rest.as_ref().is_some_and(|rest| !rest.is_closed());
                sending.rest = None;
                let short = || Err(PyValueError::new_err("the response is shorter than its Content-Length"));
                return if is_heard { short() } else { Ok(()) };
            }
            sending.rest.take()
        };
        if let Some(rest) = rest {
            push(py, &rest, Part::End);
        }
        Ok(())
    }
}

/// All of a list or tuple, which is in memory already; none of any other iterable, which may make its parts one by one.
fn in_memory(given: &Bound<'_, PyAny>) -> PyResult<Option<Vec<u8>>> {
    let mut all = Vec::new();
    if let Ok(list) = given.cast_exact::<PyList>() {
        for part in list {
            all.extend_from_slice(bytes(&part)?);
        }
    } else if let Ok(tuple) = given.cast_exact::<PyTuple>() {
        for part in tuple {
            all.extend_from_slice(bytes(&part)?);
        }
    } else {
        return Ok(None);
    }
    Ok(Some(all))
}

fn bytes<'a>(part: &'a Bound<'_, PyAny>) -> PyResult<&'a [u8]> {
    let wrong = |_| PyTypeError::new_err("the response must consist of bytes");
    Ok(part.cast::<PyBytes>().map_err(wrong)?.as_bytes())
}
