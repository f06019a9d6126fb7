//! `wsgi.errors`: a text stream whose lines go to the log.
//!
//! Next: [`crate::environ`].

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;

/// 8 KiB: a line above it is logged in pieces.
const LONGEST: usize = 8 * 1024;

/// One request's `wsgi.errors`; a line is logged when it is whole, at a flush, or at the request's end.
#[pyclass(frozen)]
#[derive(Default)]
pub(crate) struct Errors(Mutex<String>);

#[pymethods]
impl Errors {
    fn write(&self, text: &str) -> usize {
        let mut waiting = self.lock();
        waiting.push_str(text);
        while let Some(end) = waiting.find('\n') {
            let line: String = waiting.drain(..=end).collect();
            log(line.trim_end());
        }
        if waiting.len() > LONGEST {
            log(&std::mem::take(&mut *waiting));
        }
        text.chars().count()
    }

    fn writelines(&self, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        for line in lines.try_iter()? {
            self.write(&line?.extract::<String>()?);
        }
        Ok(())
    }

    pub(crate) fn flush(&self) {
        let rest = std::mem::take(&mut *self.lock());
        log(&rest);
    }
}

impl Errors {
    fn lock(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The severity is unknown; most messages there are warnings or worse.
fn log(line: &str) {
    if !line.is_empty() {
        tracing::warn!(target: "wsgi", "{line}");
    }
}
