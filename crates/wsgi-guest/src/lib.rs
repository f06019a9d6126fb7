//! The service as a WSGI callable: gunicorn, `mod_wsgi` or uWSGI's Python plugin hosts it unchanged.
//!
//! `gunicorn service:application`, where the library is on Python's path as `service.so`. The app's router and the whole
//! middleware run in the worker, configured by the same `APP__` variables. What a request is comes from the same mapping
//! of CGI's variables as FastCGI's. Bodies stream both ways, as far as the host streams them.
//!
//! It starts nothing before the first request: hosts fork their workers after importing this module, and
//! threads do not survive a fork. Settings are validated at import, where a host can still fail.
//!
//! Next: [`Application`], then `exchange`, which is one request.

mod environ;
mod exchange;
mod feed;
mod worker;

pub use worker::Application;

use pyo3::prelude::*;

/// The module, as Python imports it.
#[pymodule(name = "service")]
fn service_module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let application = Application::new::<service::app::Settings, _, _>(service::app::router)?;
    module.add("application", application)
}
