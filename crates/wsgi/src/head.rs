//! Validation of an application's response head: status and headers.
//!
//! It refuses what HTTP would misinterpret: line breaks, characters beyond Latin-1, fields of the
//! connection, which is not the application's, and lengths that contradict each other.
//!
//! Next: [`crate::answer`].

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, response};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyList, PyString, PyTuple},
};

/// A response's head.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    /// Length of the body, if the application sets it.
    pub(crate) length: Option<u64>,
}

impl Head {
    /// Parses the arguments of `start_response`.
    ///
    /// # Errors
    /// Anything that PEP 3333 or HTTP does not allow.
    pub(crate) fn read(status: &Bound<'_, PyAny>, headers: &Bound<'_, PyAny>) -> PyResult<Self> {
        let status = read_status(status)?;
        let given = headers.cast::<PyList>().map_err(|_| PyTypeError::new_err("the headers must be a list"))?;
        let mut headers = HeaderMap::with_capacity(given.len());
        for pair in given {
            let (name, value) = read_pair(&pair)?;
            headers.append(name, value);
        }
        let length = read_length(&headers)?;
        Ok(Self { status, headers, length })
    }

    /// Whether a response to `method` has no body, regardless of the application.
    pub(crate) fn is_bodiless(&self, method: &http::Method) -> bool {
        *method == http::Method::HEAD || matches!(self.status.as_u16(), 204 | 304)
    }

    pub(crate) fn into_parts(self) -> response::Parts {
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = self.status;
        parts.headers = self.headers;
        parts
    }
}

/// `200 OK`; the reason is dropped.
fn read_status(status: &Bound<'_, PyAny>) -> PyResult<StatusCode> {
    let wrong = || PyValueError::new_err("the status must be three digits, a space and a reason, as in 200 OK");
    let text = status.cast::<PyString>().map_err(|_| PyTypeError::new_err("the status must be a str"))?;
    let text = text.to_str().map_err(|_| wrong())?;
    let (digits, words) = text.split_at_checked(3).ok_or_else(wrong)?;
    if !(words.is_empty() || words.starts_with(' ')) || words.chars().any(char::is_control) {
        return Err(wrong());
    }
    let status = StatusCode::from_bytes(digits.as_bytes()).map_err(|_| wrong())?;
    if status.is_informational() {
        return Err(PyValueError::new_err("a status below 200 is not a final response"));
    }
    Ok(status)
}

fn read_pair(pair: &Bound<'_, PyAny>) -> PyResult<(HeaderName, HeaderValue)> {
    let wrong = || PyTypeError::new_err("each header must be a tuple of two str");
    let pair = pair.cast::<PyTuple>().map_err(|_| wrong())?;
    let (name, value) = pair.extract::<(Bound<'_, PyString>, Bound<'_, PyString>)>().map_err(|_| wrong())?;
    let name = name.to_str().map_err(|_| wrong())?;
    let known = HeaderName::from_bytes(name.as_bytes());
    let known = known.map_err(|_| PyValueError::new_err(format!("{name:?} is not a valid header name")))?;
    if is_of_the_hop(known.as_str()) {
        return Err(PyValueError::new_err(format!("the application must not set the header {name}")));
    }
    let value = latin1(&value).and_then(|value| HeaderValue::from_bytes(&value).ok());
    let value = value.ok_or_else(|| {
        PyValueError::new_err(format!(
            "the header {name} contains a line break, a control character or a character outside Latin-1"
        ))
    })?;
    Ok((known, value))
}

/// A native string's letters as bytes; none where one is beyond Latin-1.
fn latin1(text: &Bound<'_, PyString>) -> Option<Vec<u8>> {
    text.to_str().ok()?.chars().map(|letter| u8::try_from(letter).ok()).collect()
}

fn is_of_the_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "trailers"
            | "transfer-encoding"
            | "upgrade"
    )
}

fn read_length(headers: &HeaderMap) -> PyResult<Option<u64>> {
    let wrong = || PyValueError::new_err("Content-Length must be one number");
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(None) };
    let text = length.to_str().map_err(|_| wrong())?;
    if lengths.next().is_some() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    text.parse().map(Some).map_err(|_| wrong())
}
