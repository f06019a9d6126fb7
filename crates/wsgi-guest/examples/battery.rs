//! The doors' test app as a WSGI callable: `gunicorn battery:application`.

#[allow(dead_code, reason = "its own main is not ours")]
#[path = "../../chassis/tests/programs/battery.rs"]
mod app;

use std::convert::Infallible;

use guest::Application;
use pyo3::prelude::*;

#[pymodule]
fn battery(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let application = Application::new::<app::Settings, _, _>(|_, _| Ok::<_, Infallible>(app::routes()))?;
    module.add("application", application)
}
