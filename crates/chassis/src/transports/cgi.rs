//! Converts CGI variables to a request, and a response to CGI output, for FastCGI and uwsgi.
//!
//! Variable names do not preserve `-` and `_` of header names: `X-Real` and `X_Real` both become `HTTP_X_REAL`,
//! and a client can send either. So nothing that determines how a request is parsed relies on such a name alone:
//! lengths must agree, hop-by-hop fields and `Proxy` (httpoxy) are dropped, and fields that name a client are dropped
//! if they occur twice. The path is `REQUEST_URI` as it was sent; `PATH_INFO` is decoded and loses `%2F`.
//!
//! Next: [`super::refusal`].

use std::net::{IpAddr, SocketAddr};

use bytes::{BufMut, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version, header, request::Parts, response,
};

use super::software::Software;

/// A request head and the other CGI variables.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) parts: Parts,
    /// Length of the body, if known.
    pub(crate) length: Option<u64>,
    /// The client address seen by the proxy.
    pub(crate) client: Option<SocketAddr>,
    /// The client sent a chunked body, which a proxy may convert or drop.
    pub(crate) is_chunked: bool,
    /// `http` or `https`, as requested from the proxy.
    pub(crate) scheme: &'static str,
    /// The web server.
    pub(crate) software: Software,
}

/// Why the variables are not a valid request; the client gets 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    Method,
    /// The proxy must send `REQUEST_URI` unchanged.
    Target,
    Length,
    /// A length beyond 64 bits: the client gets 413.
    TooLong,
    Host,
    Value,
    Headers,
}

/// A variable: its name and its value.
pub(crate) type Pair<'a> = (&'a [u8], &'a [u8]);

/// Reads variables, in the order in which they came.
///
/// # Errors
/// Missing or contradictory variables.
pub(crate) fn read<'a>(variables: impl IntoIterator<Item = Pair<'a>>) -> Result<Head, Bad> {
    let mut reading = Reading::default();
    for (name, value) in variables {
        reading.take(name, value)?;
    }
    reading.finish()
}

#[derive(Default)]
struct Reading<'a> {
    method: Option<&'a [u8]>,
    target: Option<&'a [u8]>,
    protocol: &'a [u8],
    length: Option<u64>,
    content_type: Option<&'a [u8]>,
    content_type_header: Option<&'a [u8]>,
    address: Option<&'a [u8]>,
    port: Option<&'a [u8]>,
    is_chunked: bool,
    is_secure: bool,
    software: Software,
    headers: HeaderMap,
    /// Fields that name a client and occur twice.
    doubtful: Vec<HeaderName>,
}

impl<'a> Reading<'a> {
    fn take(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), Bad> {
        match name {
            b"REQUEST_METHOD" => once(&mut self.method, value, Bad::Method),
            b"REQUEST_URI" => once(&mut self.target, value, Bad::Target),
            b"CONTENT_LENGTH" | b"HTTP_CONTENT_LENGTH" if value.is_empty() => Ok(()),
            b"CONTENT_LENGTH" | b"HTTP_CONTENT_LENGTH" => once(&mut self.length, digits(value)?, Bad::Length),
            b"CONTENT_TYPE" if !value.is_empty() => once(&mut self.content_type, value, Bad::Value),
            b"HTTP_CONTENT_TYPE" => once(&mut self.content_type_header, value, Bad::Value),
            b"HTTP_TRANSFER_ENCODING" => {
                self.is_chunked = true;
                Ok(())
            }
            b"REMOTE_ADDR" => set(&mut self.address, value),
            b"REMOTE_PORT" => set(&mut self.port, value),
            b"SERVER_PROTOCOL" => {
                self.protocol = value;
                Ok(())
            }
            b"HTTPS" => {
                self.is_secure |= !value.is_empty() && value != b"off";
                Ok(())
            }
            b"REQUEST_SCHEME" => {
                self.is_secure |= value == b"https";
                Ok(())
            }
            b"SERVER_SOFTWARE" => {
                self.software = Software::of(value);
                Ok(())
            }
            _ => match name.strip_prefix(b"HTTP_") {
                Some(name) => self.header(name, value),
                None => Ok(()),
            },
        }
    }

    fn header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Bad> {
        let Some(name) = header_name(name) else { return Ok(()) };
        if is_of_the_hop(name.as_str()) {
            return Ok(());
        }
        let value = HeaderValue::from_bytes(value).map_err(|_| Bad::Value)?;
        if let Some(before) = self.headers.get(&name) {
            if name == header::HOST && *before != value {
                return Err(Bad::Host);
            }
            if names_a_client(name.as_str()) {
                self.doubtful.push(name.clone());
            }
        }
        self.headers.try_append(name, value).map_err(|_| Bad::Headers)?;
        Ok(())
    }

    fn finish(mut self) -> Result<Head, Bad> {
        for name in &self.doubtful {
            self.headers.remove(name);
        }
        if let Some(length) = self.length {
            self.headers.insert(header::CONTENT_LENGTH, length.into());
        }
        if let Some(kind) = self.content_type.or(self.content_type_header.filter(|kind| !kind.is_empty())) {
            let kind = HeaderValue::from_bytes(kind).map_err(|_| Bad::Value)?;
            self.headers.insert(header::CONTENT_TYPE, kind);
        }
        let method = self.method.and_then(|method| Method::from_bytes(method).ok()).ok_or(Bad::Method)?;
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = method;
        parts.uri = self.target.and_then(target).ok_or(Bad::Target)?;
        parts.version = version(self.protocol);
        parts.headers = self.headers;
        let client = client(self.address, self.port);
        let scheme = if self.is_secure { "https" } else { "http" };
        Ok(Head { parts, length: self.length, client, scheme, is_chunked: self.is_chunked, software: self.software })
    }
}

/// Sets a value that may be repeated only if it is identical.
fn once<T: PartialEq>(slot: &mut Option<T>, value: T, bad: Bad) -> Result<(), Bad> {
    match slot {
        Some(before) if *before != value => Err(bad),
        _ => set(slot, value),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "an arm like the others")]
fn set<T>(slot: &mut Option<T>, value: T) -> Result<(), Bad> {
    *slot = Some(value);
    Ok(())
}

/// Digits only: programs parse `+5`, ` 5` and `5, 5` differently.
fn digits(value: &[u8]) -> Result<u64, Bad> {
    let text = std::str::from_utf8(value).map_err(|_| Bad::Length)?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Bad::Length);
    }
    text.parse().map_err(|_| Bad::TooLong)
}

/// `X_REAL` as `x-real`; other characters are not a header name.
fn header_name(name: &[u8]) -> Option<HeaderName> {
    let letter = |byte: &u8| match byte {
        b'A'..=b'Z' => Some(byte.to_ascii_lowercase()),
        b'0'..=b'9' => Some(*byte),
        b'_' => Some(b'-'),
        _ => None,
    };
    let name: Vec<u8> = name.iter().map(letter).collect::<Option<_>>()?;
    HeaderName::from_bytes(&name).ok()
}

/// Fields of the client's connection to the proxy, and `Proxy`, which programs read as their own setting (httpoxy).
/// `Expect` is handled by the proxy.
pub(crate) fn is_of_the_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "expect"
            | "http2-settings"
            | "keep-alive"
            | "proxy"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// If they occur twice, one may be the client's own with an underscore: `X_Forwarded_For`.
fn names_a_client(name: &str) -> bool {
    name == "forwarded" || name == "x-real-ip" || name.starts_with("x-forwarded-")
}

fn target(target: &[u8]) -> Option<Uri> {
    let uri = Uri::try_from(target).ok()?;
    // The absolute form stays unchanged: its host overrides `Host`, as in HTTP.
    uri.path_and_query().is_some().then_some(uri)
}

fn version(protocol: &[u8]) -> Version {
    match protocol {
        b"HTTP/1.0" => Version::HTTP_10,
        b"HTTP/2.0" | b"HTTP/2" => Version::HTTP_2,
        b"HTTP/3.0" | b"HTTP/3" => Version::HTTP_3,
        _ => Version::HTTP_11,
    }
}

fn client(address: Option<&[u8]>, port: Option<&[u8]>) -> Option<SocketAddr> {
    let text = |bytes: Option<&'_ [u8]>| bytes.and_then(|bytes| std::str::from_utf8(bytes).ok().map(str::to_owned));
    let address: IpAddr = text(address)?.parse().ok()?;
    let port = text(port).and_then(|port| port.parse().ok()).unwrap_or(0);
    Some(SocketAddr::new(address, port))
}

/// How a response's first line is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// `Status: 200 OK` (RFC 3875, section 6.3.3).
    Cgi,
    /// `HTTP/1.1 200 OK`.
    Http,
}

/// Whether a response to `method` has no body, whatever its headers say.
pub(crate) fn is_bodiless(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD || status.is_informational() || matches!(status.as_u16(), 204 | 304)
}

/// Writes a response's head; `length` is that of its body, where it is known and the headers do not say.
pub(crate) fn write_head(out: &mut BytesMut, start: Start, parts: &response::Parts, length: Option<u64>) {
    out.put_slice(match start {
        Start::Cgi => b"Status: ",
        Start::Http => b"HTTP/1.1 ",
    });
    out.put_slice(parts.status.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(parts.status.canonical_reason().unwrap_or("Unknown").as_bytes());
    out.put_slice(b"\r\n");
    // `Status` is the first line's name here.
    for (name, value) in parts.headers.iter().filter(|(name, _)| !is_of_the_hop(name.as_str()) && *name != "status") {
        line(out, name.as_str().as_bytes(), value.as_bytes());
    }
    if let Some(length) = length.filter(|_| !parts.headers.contains_key(header::CONTENT_LENGTH)) {
        line(out, b"content-length", length.to_string().as_bytes());
    }
    out.put_slice(b"\r\n");
}

fn line(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.put_slice(name);
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
