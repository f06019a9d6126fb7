//! The application's routes, if it lists them: Flask's `url_map`, and Django's resolver.
//!
//! They show the progress of a migration from Python. It is not an error if an application does not list them.
//!
//! Next: [`crate::load`].

use std::ffi::CString;

use pyo3::{prelude::*, types::PyDict};

/// `routes(application)`: paths with `{}` for each parameter, or none.
const SOURCE: &str = include_str!("routes.py");

pub(crate) fn of(callable: &Bound<'_, PyAny>) -> Option<Vec<String>> {
    let py = callable.py();
    let told = || -> PyResult<Option<Vec<String>>> {
        let names = PyDict::new(py);
        let source = CString::new(SOURCE)?;
        py.run(&source, Some(&names), None)?;
        let routes = names.get_item("routes")?.map(|routes| routes.call1((callable,))).transpose()?;
        routes.map_or(Ok(None), |routes| routes.extract())
    };
    told().unwrap_or_else(|error| {
        tracing::warn!(target: "wsgi", %error, "the application's routes could not be listed");
        None
    })
}
