//! `wsgi.input`: a request's body as a file, read as a stream.
//!
//! It waits with the interpreter released, so that other threads run. A body that is cut off raises `OSError`; so
//! does one that is read after its request is over.
//!
//! Next: [`crate::environ`].

use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use pyo3::{
    exceptions::PyOSError,
    prelude::*,
    types::{PyBytes, PyList},
};
use tokio::runtime::Handle;

use crate::RequestBody;

/// A request's body.
#[pyclass(frozen)]
pub(crate) struct Input {
    reading: Mutex<Reading>,
    runtime: Handle,
}

struct Reading {
    /// None at its end.
    body: Option<RequestBody>,
    /// Received data that was not requested yet.
    buffer: BytesMut,
    /// Why no more data comes, if it is not the body's end.
    failed: Option<String>,
}

/// The requested amount.
#[derive(Clone, Copy)]
enum Wanted {
    All,
    AtMost(usize),
}

impl Wanted {
    /// `None` and negative numbers mean everything.
    fn of(size: Option<isize>) -> Self {
        size.and_then(|size| usize::try_from(size).ok()).map_or(Self::All, Self::AtMost)
    }

    fn bound(self) -> usize {
        match self {
            Self::All => usize::MAX,
            Self::AtMost(bytes) => bytes,
        }
    }
}

#[pymethods]
impl Input {
    #[pyo3(signature = (size=None, /))]
    fn read<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        self.take(py, |reading, runtime| reading.read(Wanted::of(size), runtime))
    }

    #[pyo3(signature = (size=None, /))]
    fn readline<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        self.take(py, |reading, runtime| reading.line(Wanted::of(size), runtime))
    }

    /// All lines, or as many as have `hint` bytes.
    #[pyo3(signature = (hint=None, /))]
    fn readlines<'py>(&self, py: Python<'py>, hint: Option<isize>) -> PyResult<Bound<'py, PyList>> {
        let lines = PyList::empty(py);
        let (most, mut seen) = (hint.and_then(|hint| usize::try_from(hint).ok()).filter(|hint| *hint > 0), 0);
        while most.is_none_or(|most| seen < most) {
            let line = self.readline(py, None)?;
            seen += line.as_bytes().len();
            if line.as_bytes().is_empty() {
                break;
            }
            lines.append(line)?;
        }
        Ok(lines)
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.readline(py, None)?;
        Ok((!line.as_bytes().is_empty()).then_some(line))
    }
}

impl Input {
    pub(crate) fn new(body: Option<RequestBody>, runtime: &Handle) -> Self {
        let reading = Reading { body, buffer: BytesMut::new(), failed: None };
        Self { reading: Mutex::new(reading), runtime: runtime.clone() }
    }

    /// Whether the body was cut off while it was read.
    pub(crate) fn has_failed(&self) -> bool {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner).failed.is_some()
    }

    /// Releases the body at the end of the request, even if its environment is still referenced.
    pub(crate) fn close(&self) {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if reading.body.take().is_some() {
            reading.failed = Some("the request has ended".into());
        }
    }

    fn take<'py>(
        &self,
        py: Python<'py>,
        take: impl FnOnce(&mut Reading, &Handle) -> Result<Bytes, String> + Send,
    ) -> PyResult<Bound<'py, PyBytes>> {
        // Locked and released without the interpreter: two reading threads cannot deadlock.
        let taken = py.detach(|| {
            let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
            take(&mut reading, &self.runtime)
        });
        taken.map(|bytes| PyBytes::new(py, &bytes)).map_err(PyOSError::new_err)
    }
}

impl Reading {
    fn read(&mut self, wanted: Wanted, runtime: &Handle) -> Result<Bytes, String> {
        while self.buffer.len() < wanted.bound() && self.fill(runtime)? {}
        Ok(self.split(wanted.bound()))
    }

    fn line(&mut self, wanted: Wanted, runtime: &Handle) -> Result<Bytes, String> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                return Ok(self.split((searched + at + 1).min(wanted.bound())));
            }
            searched = self.buffer.len();
            if searched >= wanted.bound() || !self.fill(runtime)? {
                return Ok(self.split(wanted.bound()));
            }
        }
    }

    fn split(&mut self, most: usize) -> Bytes {
        self.buffer.split_to(most.min(self.buffer.len())).freeze()
    }

    /// Waits for more. False at the body's end.
    fn fill(&mut self, runtime: &Handle) -> Result<bool, String> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let Some(body) = &mut self.body else { return Ok(false) };
        match runtime.block_on(body.frame()) {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.buffer.extend_from_slice(data);
                }
                Ok(true)
            }
            Some(Err(error)) => {
                self.body = None;
                let failed = format!("the request body was cut off: {error}");
                self.failed = Some(failed.clone());
                Err(failed)
            }
            None => {
                self.body = None;
                Ok(false)
            }
        }
    }
}
