//! A WSGI environment as CGI variables, in bytes.
//!
//! The path is the one that the client sent, if the host provides it (`REQUEST_URI`, or gunicorn's `RAW_URI`). Below a
//! prefix, and otherwise, it is built from the decoded path, which loses `%2F`.
//!
//! Next: [`crate::exchange`].

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use pyo3::{
    prelude::*,
    types::{PyDict, PyString},
};

/// A variable: its name and its value.
pub(crate) type Variable = (Vec<u8>, Vec<u8>);

/// Characters that are not encoded in a path: RFC 3986's `pchar` and the slash.
const IN_A_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// The variables of `environ` that are texts, with a `REQUEST_URI` among them.
pub(crate) fn variables(environ: &Bound<'_, PyDict>) -> PyResult<Vec<Variable>> {
    let mut variables = Vec::with_capacity(environ.len() + 2);
    for (name, value) in environ {
        let (Ok(name), Ok(value)) = (name.cast::<PyString>(), value.cast::<PyString>()) else { continue };
        let name = name.to_str()?;
        if !name.contains('.') && name != "REQUEST_URI" && name != "REQUEST_SCHEME" {
            // Only values from the server are variables.
            if let Some(value) = latin1(value.to_str()?) {
                variables.push((name.as_bytes().to_vec(), value));
            }
        }
    }
    variables.push((b"REQUEST_URI".to_vec(), target(environ)?));
    variables.push((b"REQUEST_SCHEME".to_vec(), text(environ, "wsgi.url_scheme")?.unwrap_or_default()));
    Ok(variables)
}

fn target(environ: &Bound<'_, PyDict>) -> PyResult<Vec<u8>> {
    if text(environ, "SCRIPT_NAME")?.is_none_or(|prefix| prefix.is_empty()) {
        for name in ["REQUEST_URI", "RAW_URI"] {
            if let Some(target) = text(environ, name)?.filter(|target| !target.is_empty()) {
                return Ok(target);
            }
        }
    }
    let path = text(environ, "PATH_INFO")?.unwrap_or_default();
    let path = percent_encode(if path.is_empty() { b"/" } else { &path }, IN_A_PATH).to_string();
    let query = text(environ, "QUERY_STRING")?.filter(|query| !query.is_empty());
    Ok(query.map_or_else(|| path.clone().into_bytes(), |query| [path.as_bytes(), b"?", &query].concat()))
}

fn text(environ: &Bound<'_, PyDict>, name: &str) -> PyResult<Option<Vec<u8>>> {
    let Some(value) = environ.get_item(name)? else { return Ok(None) };
    Ok(value.cast::<PyString>().ok().and_then(|value| latin1(value.to_str().ok()?)))
}

/// A native string's bytes; none where it has letters beyond Latin-1.
fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|letter| u8::try_from(letter).ok()).collect()
}
