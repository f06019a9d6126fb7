//! The doors' test app as a WSGI callable: `gunicorn battery:application`.

#[allow(dead_code, reason = "its own main is not ours")]
#[path = "../../chassis/tests/programs/battery.rs"]
mod app;

use std::convert::Infallible;

use chassis::Chassis;
use guest::Application;
use pyo3::prelude::*;

#[pymodule]
fn battery(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let routes = async |_: &app::Settings, _: &Chassis| Ok::<_, Infallible>(app::routes());
    let application = Application::new::<app::Settings, _, _>(routes)?;
    module.add("application", application)
}
