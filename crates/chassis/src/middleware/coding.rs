//! Content codings that a client refuses (RFC 9110, section 12.5.3), and what of a head has to be said in another way
//! before the app sees it.
//!
//! tower-http 0.7's compression answers a client that accepts no coding by the status 406 over whatever the handler
//! said: a 204, 304, 405 or 503 too, with their bodies. So it is told that such a client accepts a body as it is, at
//! last; and a body as it is that the client refuses becomes a problem here, where it was a 200.
//!
//! Next: [`super::response`].

use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// The fields that this is about, as the scan of a head finds them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Coded {
    /// Lines of `Cookie`.
    pub(super) cookies: u32,
    /// `Accept-Encoding` with weights, one of which may be zero.
    pub(super) has_weights: bool,
    /// `Content-Encoding`.
    pub(super) is_encoded: bool,
}

/// A body as it is, to a client that sent `Accept-Encoding`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Identity {
    /// The default: few clients refuse it.
    #[default]
    Accepted,
    /// Another coding is accepted.
    Refused,
    /// Every coding is.
    RefusedWithAll,
}

/// An item of the list: a coding, and whether its weight is above zero.
type Item<'a> = (&'a str, bool);

impl Identity {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let weight = |coding: &str| {
            let mut same = items(headers).filter(|(name, _)| name.eq_ignore_ascii_case(coding));
            same.next().map(|(_, is_accepted)| is_accepted)
        };
        match (weight("identity"), weight("*")) {
            (Some(false), _) | (None, Some(false)) if items(headers).any(|(_, is_accepted)| is_accepted) => {
                Self::Refused
            }
            (Some(false), _) | (None, Some(false)) => Self::RefusedWithAll,
            _ => Self::Accepted,
        }
    }

    /// Lets a layer that compresses answer with a body as it is.
    pub(super) fn allow(self, headers: &mut HeaderMap) {
        if self == Self::Accepted {
            return;
        }
        // A coding that is refused stays refused: `*` would accept it.
        let is_of_all = |name: &str| name == "*" || name.eq_ignore_ascii_case("identity");
        let stays = |entry: &&str| matches!(item(entry), (name, is_accepted) if is_accepted || !is_of_all(name));
        let mut list: Vec<&str> = entries(headers).filter(stays).collect();
        list.push("identity;q=0.001");
        if let Ok(list) = HeaderValue::from_str(&list.join(", ")) {
            headers.insert(header::ACCEPT_ENCODING, list);
        }
    }

    /// Whether `response` is none that the client accepts. Where it accepts a coding, it may be one of a route that
    /// compresses nothing, or nothing as short as this: only one that depends on the coding is refused.
    pub(super) fn refuses(self, response: &Response) -> bool {
        if response.status() != StatusCode::OK || response.headers().contains_key(header::CONTENT_ENCODING) {
            return false;
        }
        match self {
            Self::Accepted => false,
            Self::Refused => varies(response.headers()),
            Self::RefusedWithAll => true,
        }
    }
}

/// Joins the lines of `Cookie`, which HTTP/2 may split (RFC 9113, section 8.2.3) and programs read as one.
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let lines: Vec<_> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    let joined = HeaderValue::from_bytes(&lines.join(&b"; "[..])).map(|mut joined| {
        joined.set_sensitive(headers.get(header::COOKIE).is_some_and(HeaderValue::is_sensitive));
        joined
    });
    if let Ok(joined) = joined {
        headers.insert(header::COOKIE, joined);
    }
}

fn entries(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|entry| !entry.is_empty())
}

fn items(headers: &HeaderMap) -> impl Iterator<Item = Item<'_>> {
    entries(headers).map(item)
}

fn item(entry: &str) -> Item<'_> {
    let (coding, parameters) = entry.split_once(';').unwrap_or((entry, ""));
    let weight = parameters.trim().strip_prefix(['q', 'Q']).and_then(|rest| rest.trim().strip_prefix('='));
    let is_zero = |weight: &str| weight.starts_with('0') && weight.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    (coding.trim(), !weight.is_some_and(|weight| is_zero(weight.trim())))
}

fn varies(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::VARY).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|name| name.trim().eq_ignore_ascii_case("accept-encoding"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(lines: &[&'static str]) -> HeaderMap {
        lines.iter().map(|line| (header::ACCEPT_ENCODING, HeaderValue::from_static(line))).collect()
    }

    #[test]
    fn what_a_client_refuses_is_read_from_all_its_lines() {
        use Identity::{Accepted, Refused, RefusedWithAll};
        for (lines, expected, allowed) in [
            (&["gzip, deflate, br"][..], Accepted, "gzip, deflate, br"),
            (&["gzip;q=1.0, identity; q=0.5, *;q=0"], Accepted, "gzip;q=1.0, identity; q=0.5, *;q=0"),
            (&[""], Accepted, ""),
            (&["identity;q=0.001"], Accepted, "identity;q=0.001"),
            (&["identity;q=0"], RefusedWithAll, "identity;q=0.001"),
            (&["Identity ; Q = 0.000"], RefusedWithAll, "identity;q=0.001"),
            (&["*;q=0"], RefusedWithAll, "identity;q=0.001"),
            (&["gzip;q=0, *;q=0"], RefusedWithAll, "gzip;q=0, identity;q=0.001"),
            (&["identity;q=0, br;q=0, *"], Refused, "br;q=0, *, identity;q=0.001"),
            (&["gzip, *;q=0"], Refused, "gzip, identity;q=0.001"),
            (&["identity;q=0", "br;q=0.3"], Refused, "br;q=0.3, identity;q=0.001"),
            (&["identity;q=0, *"], Refused, "*, identity;q=0.001"),
        ] {
            let mut headers = with(lines);
            let identity = Identity::of(&headers);
            assert_eq!(identity, expected, "{lines:?}");
            identity.allow(&mut headers);
            assert_eq!(headers[header::ACCEPT_ENCODING], allowed, "{lines:?}");
        }
    }

    #[test]
    fn cookies_are_one_line() {
        let lines = ["a=1", "b=2; c=3", "d=4"].map(|line| (header::COOKIE, HeaderValue::from_static(line)));
        let mut headers: HeaderMap = lines.into_iter().collect();
        join_cookies(&mut headers);
        let all: Vec<_> = headers.get_all(header::COOKIE).iter().collect();
        assert_eq!(all, ["a=1; b=2; c=3; d=4"]);
    }
}
