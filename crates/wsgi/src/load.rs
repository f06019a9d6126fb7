//! The application: found, imported, and held.
//!
//! Next: [`crate::threads`].

use std::{io, path::Path, sync::Arc};

use pyo3::{
    prelude::*,
    types::{PyAnyMethods, PyList},
};

use crate::{Settings, routes};

/// Why the application cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The name is invalid.
    #[error("expected module:callable, as in shop.wsgi:application")]
    Name,
    /// An entry of the path is not a directory.
    #[error("the path contains {0}, which is not a directory")]
    Path(String),
    /// A virtual environment belongs to another Python version.
    #[error(
        "the virtual environment {folder} has no {wanted}: it was made by another Python than this program's, {version}"
    )]
    Environment {
        /// The environment.
        folder: String,
        /// The expected directory.
        wanted: String,
        /// The version of this program's Python.
        version: String,
    },
    /// The import failed, with Python's error.
    #[error("importing {name}: {said}")]
    Import {
        /// The module or name to import.
        name: String,
        /// The traceback and the exception.
        said: String,
    },
    /// The imported object is not callable.
    #[error("{0} is not callable")]
    NoCallable(String),
    /// A thread did not start.
    #[error("starting a Python thread: {0}")]
    Threads(io::Error),
}

/// A loaded application.
pub(crate) struct Loaded {
    pub(crate) callable: Arc<Py<PyAny>>,
    pub(crate) routes: Option<Vec<String>>,
}

/// Starts the interpreter and imports the application.
pub(crate) fn load(settings: &Settings) -> Result<Loaded, LoadError> {
    let name = &settings.application;
    let (module, attribute) = parse(name).ok_or(LoadError::Name)?;
    Python::initialize();
    Python::attach(|py| {
        extend_path(py, &settings.path)?;
        let failed = |error: PyErr| LoadError::Import { name: name.clone(), said: tell(py, &error) };
        let mut callable = py.import(module).map_err(failed)?.into_any();
        for part in attribute.split('.') {
            callable = callable.getattr(part).map_err(failed)?;
        }
        if !callable.is_callable() {
            return Err(LoadError::NoCallable(name.clone()));
        }
        let routes = routes::of(&callable);
        Ok(Loaded { callable: Arc::new(callable.unbind()), routes })
    })
}

/// A module and a name in it.
pub(crate) fn parse(application: &str) -> Option<(&str, &str)> {
    let is_name = |name: &str| {
        let mut letters = name.chars();
        letters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
            && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
    };
    let (module, attribute) = application.split_once(':')?;
    (module.split('.').all(is_name) && attribute.split('.').all(is_name)).then_some((module, attribute))
}

/// What Python would print.
fn tell(py: Python<'_>, error: &PyErr) -> String {
    let trace = error.traceback(py).and_then(|trace| trace.format().ok()).unwrap_or_default();
    format!("{error}\n{trace}").trim_end().to_owned()
}

/// Puts folders in front of `sys.path`, and the packages of virtual environments behind them.
fn extend_path(py: Python<'_>, path: &[String]) -> Result<(), LoadError> {
    for entry in path.iter().rev() {
        let folder = Path::new(entry);
        if !folder.is_dir() {
            return Err(LoadError::Path(entry.clone()));
        }
        let failed = |error: PyErr| LoadError::Import { name: "sys.path".into(), said: tell(py, &error) };
        if folder.join("pyvenv.cfg").is_file() {
            add_environment(py, entry, failed)?;
        } else {
            let absolute = folder.canonicalize().map_err(|_| LoadError::Path(entry.clone()))?;
            insert(py, &absolute.to_string_lossy()).map_err(failed)?;
        }
    }
    Ok(())
}

fn insert(py: Python<'_>, folder: &str) -> PyResult<()> {
    let path = py.import("sys")?.getattr("path")?.cast_into::<PyList>()?;
    if path.contains(folder)? { Ok(()) } else { path.insert(0, folder) }
}

fn add_environment(py: Python<'_>, entry: &str, failed: impl Fn(PyErr) -> LoadError) -> Result<(), LoadError> {
    let info = py.version_info();
    let version = format!("{}.{}", info.major, info.minor);
    let wanted = format!("lib/python{version}/site-packages");
    let packages = Path::new(entry).join(&wanted);
    let Ok(packages) = packages.canonicalize() else {
        return Err(LoadError::Environment { folder: entry.to_owned(), wanted, version });
    };
    let packages = packages.to_string_lossy();
    // In front of the system's own packages, and with the `.pth` files that the environment has.
    insert(py, &packages).map_err(&failed)?;
    let added = py.import("site").and_then(|site| site.call_method1("addsitedir", (&*packages,)));
    added.map(drop).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_module_and_a_callable() {
        assert_eq!(parse("shop.wsgi:application"), Some(("shop.wsgi", "application")));
        assert_eq!(parse("shop:app.wsgi"), Some(("shop", "app.wsgi")));
        for wrong in ["shop", "shop:", ":app", "shop:app()", "../shop:app", "shop.:app", "1:app", "a:b:c"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
