//! A request as an environment: PEP 3333's variables, CGI's, and a header as `HTTP_` and its name.
//!
//! Variable names do not preserve `-` and `_` of header names: `X-Real` and `X_Real` would both be `HTTP_X_REAL`. So a
//! header with `_` in its name is left out, as are `Proxy` (httpoxy), fields of the connection, and whatever says who
//! the client is where the peer is not trusted to.
//!
//! Next: [`crate::input`].

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, Version, header, request::Parts};
use percent_encoding::percent_decode_str;
use pyo3::{
    intern,
    prelude::*,
    types::{PyDict, PyString},
};

use crate::{errors::Errors, input::Input};

/// Connection data for a request's environment.
#[derive(Clone, Debug)]
pub struct Connection {
    /// `http` or `https`, as requested by the client.
    pub scheme: &'static str,
    /// The client.
    pub client: IpAddr,
    /// The client's port, where the client is the peer.
    pub client_port: Option<u16>,
    /// The requested host, optionally with a port.
    pub host: Option<String>,
    /// Whether forwarding headers come from a trusted proxy.
    pub is_trusted: bool,
    /// The request's id, in place of a header that may have been refused.
    pub request_id: Option<String>,
}

/// The environment of a request.
pub(crate) fn build<'py>(
    py: Python<'py>,
    parts: &Parts,
    connection: &Connection,
    input: &Bound<'py, Input>,
    errors: &Bound<'py, Errors>,
) -> PyResult<Bound<'py, PyDict>> {
    let environ = PyDict::new(py);
    add_headers(&environ, &parts.headers, connection)?;
    add_request(&environ, parts)?;
    add_connection(&environ, connection)?;
    environ.set_item(intern!(py, "wsgi.version"), (1, 0))?;
    environ.set_item(intern!(py, "wsgi.url_scheme"), connection.scheme)?;
    environ.set_item(intern!(py, "wsgi.input"), input)?;
    // It ends with the body, also where no length is known.
    environ.set_item(intern!(py, "wsgi.input_terminated"), true)?;
    environ.set_item(intern!(py, "wsgi.errors"), errors)?;
    environ.set_item(intern!(py, "wsgi.multithread"), true)?;
    environ.set_item(intern!(py, "wsgi.multiprocess"), false)?;
    environ.set_item(intern!(py, "wsgi.run_once"), false)?;
    Ok(environ)
}

fn add_request(environ: &Bound<'_, PyDict>, parts: &Parts) -> PyResult<()> {
    let py = environ.py();
    environ.set_item(intern!(py, "REQUEST_METHOD"), parts.method.as_str())?;
    environ.set_item(intern!(py, "SCRIPT_NAME"), "")?;
    let path: Vec<u8> = percent_decode_str(parts.uri.path()).collect();
    environ.set_item(intern!(py, "PATH_INFO"), latin1(py, &path))?;
    environ.set_item(intern!(py, "QUERY_STRING"), parts.uri.query().unwrap_or_default())?;
    // As it was sent: `%2F` is lost in the decoded path.
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    environ.set_item(intern!(py, "REQUEST_URI"), target)?;
    environ.set_item(intern!(py, "RAW_URI"), target)?;
    let protocol = match parts.version {
        Version::HTTP_09 | Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    };
    environ.set_item(intern!(py, "SERVER_PROTOCOL"), protocol)
}

fn add_connection(environ: &Bound<'_, PyDict>, connection: &Connection) -> PyResult<()> {
    let py = environ.py();
    environ.set_item(intern!(py, "REMOTE_ADDR"), connection.client.to_string())?;
    if let Some(port) = connection.client_port {
        environ.set_item(intern!(py, "REMOTE_PORT"), port.to_string())?;
    }
    let default = if connection.scheme == "https" { "443" } else { "80" };
    let host = connection.host.as_deref().filter(|host| !host.is_empty()).unwrap_or("localhost");
    let (name, port) = split_host(host).unwrap_or((host, default));
    environ.set_item(intern!(py, "SERVER_NAME"), name)?;
    environ.set_item(intern!(py, "SERVER_PORT"), port)?;
    if connection.scheme == "https" {
        environ.set_item(intern!(py, "HTTPS"), "on")?;
    }
    if let Some(id) = &connection.request_id {
        environ.set_item(intern!(py, "HTTP_X_REQUEST_ID"), id)?;
    }
    Ok(())
}

/// A host and its port; none where there is no port.
fn split_host(host: &str) -> Option<(&str, &str)> {
    let (name, port) = host.rsplit_once(':')?;
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    // An address of IPv6 has colons of its own, inside brackets.
    (is_port && !name.ends_with(':') && (!name.contains(':') || name.ends_with(']'))).then_some((name, port))
}

fn add_headers(environ: &Bound<'_, PyDict>, headers: &HeaderMap, connection: &Connection) -> PyResult<()> {
    let py = environ.py();
    for name in headers.keys().filter(|name| is_passed_on(name, connection)) {
        let separator: &[u8] = if *name == header::COOKIE { b"; " } else { b"," };
        let mut values = headers.get_all(name).iter();
        let first = values.next().map(http::HeaderValue::as_bytes).unwrap_or_default();
        let value = match values.next() {
            None => latin1(py, first),
            Some(second) => {
                let mut all = first.to_vec();
                for value in std::iter::once(second).chain(values) {
                    all.extend_from_slice(separator);
                    all.extend_from_slice(value.as_bytes());
                }
                latin1(py, &all)
            }
        };
        environ.set_item(variable(name), value)?;
    }
    Ok(())
}

/// `HTTP_ACCEPT` for `accept`; the two that CGI has without `HTTP_`.
fn variable(name: &HeaderName) -> String {
    match *name {
        header::CONTENT_TYPE => "CONTENT_TYPE".into(),
        header::CONTENT_LENGTH => "CONTENT_LENGTH".into(),
        _ => {
            let letter = |byte: u8| if byte == b'-' { '_' } else { char::from(byte.to_ascii_uppercase()) };
            "HTTP_".chars().chain(name.as_str().bytes().map(letter)).collect()
        }
    }
}

fn is_passed_on(name: &HeaderName, connection: &Connection) -> bool {
    let name = name.as_str();
    let is_of_the_hop = matches!(
        name,
        "connection" | "keep-alive" | "proxy" | "proxy-connection" | "te" | "trailer" | "transfer-encoding" | "upgrade"
    );
    let names_a_client = name == "forwarded" || name == "x-real-ip" || name.starts_with("x-forwarded-");
    !is_of_the_hop && !name.contains('_') && (connection.is_trusted || !names_a_client)
}

/// A native string, each byte a letter of it.
fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    if let Some(text) = std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii()) {
        return PyString::new(py, text);
    }
    PyString::new(py, &bytes.iter().map(|byte| char::from(*byte)).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_split_from_its_port() {
        for (host, expected) in [
            ("shop.example:8080", Some(("shop.example", "8080"))),
            ("[::1]:80", Some(("[::1]", "80"))),
            ("shop.example", None),
            ("[::1]", None),
            ("::1", None),
            ("shop.example:", None),
        ] {
            assert_eq!(split_host(host), expected, "{host}");
        }
    }
}
