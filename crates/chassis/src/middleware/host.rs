//! The rules of RFC 9112, section 3.2, and RFC 9113, section 8.3.1, for the host that a request names.
//!
//! If two readers see different hosts in one request, an attacker can exploit that: a cache in front stores one
//! site's page under another's name. So ambiguous requests are refused. It does not check which hosts are served.
//!
//! Next: [`super::id`].

use http::{HeaderMap, HeaderValue, Uri, Version, header, uri::Authority};

/// Why a request is refused, for its problem.
pub(super) type Refusal = &'static str;

const TWO: Refusal = "The request has conflicting hosts.";
const INVALID: Refusal = "The host is invalid.";
const MISSING: Refusal = "The request has no host.";

/// The `Host` lines of a head, as its scan found them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Host<'a> {
    #[default]
    None,
    One(&'a HeaderValue),
    Many,
}

impl<'a> Host<'a> {
    pub(super) fn add(&mut self, value: &'a HeaderValue) {
        *self = if matches!(self, Self::None) { Self::One(value) } else { Self::Many };
    }

    /// For a head that was not scanned.
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let mut host = Self::None;
        headers.get_all(header::HOST).iter().for_each(|value| host.add(value));
        host
    }

    /// Why this head is refused, if it is. `required`: HTTP/1.1 must have a host.
    pub(super) fn check(self, uri: &Uri, version: Version, required: bool) -> Option<Refusal> {
        let target = uri.authority();
        match self {
            Self::Many => Some(TWO),
            Self::One(host) if !is_valid(host.as_bytes()) => Some(INVALID),
            // In HTTP/1.1 the absolute form wins, whatever `Host` says (RFC 9112, section 3.2.2).
            Self::One(host) if version >= Version::HTTP_2 && target.is_some_and(|it| differs(it, host, uri)) => {
                Some(TWO)
            }
            Self::None if required && version == Version::HTTP_11 => Some(MISSING),
            _ => target.is_some_and(|target| !is_valid(target.as_str().as_bytes())).then_some(INVALID),
        }
    }
}

/// Whether `host` names another origin than the target; the scheme's own port may be left out.
fn differs(target: &Authority, host: &HeaderValue, uri: &Uri) -> bool {
    let default = if uri.scheme_str() == Some("https") { ":443" } else { ":80" };
    let bare = |text: &str| text.strip_suffix(default).unwrap_or(text).to_ascii_lowercase();
    let Ok(host) = host.to_str() else { return true };
    !target.as_str().eq_ignore_ascii_case(host) && bare(target.as_str()) != bare(host)
}

/// `uri-host [ ":" port ]` of RFC 9110, section 7.2. An empty one is valid: it says that the target has no host.
fn is_valid(host: &[u8]) -> bool {
    let Some(address) = host.strip_prefix(b"[") else {
        let end = host.iter().position(|&byte| !OF_A_NAME[usize::from(byte)]).unwrap_or(host.len());
        return is_port(&host[end..]);
    };
    let Some(end) = address.iter().position(|&byte| byte == b']') else { return false };
    let (address, port) = (&address[..end], &address[end + 1..]);
    !address.is_empty() && address.iter().all(|&byte| byte == b':' || is_of_a_name(byte)) && is_port(port)
}

/// What follows the name: nothing, or a colon and digits.
fn is_port(port: &[u8]) -> bool {
    port.is_empty() || (port[0] == b':' && port[1..].iter().all(u8::is_ascii_digit))
}

/// Letters of `reg-name` (RFC 3986, section 3.2.2).
const fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&'..=b',' | b';' | b'=')
}

/// [`is_of_a_name`] of each byte: nearly each request names a host.
static OF_A_NAME: [bool; 256] = {
    let mut all = [false; 256];
    let mut byte = 0;
    while byte < u8::MAX {
        all[byte as usize] = is_of_a_name(byte);
        byte += 1;
    }
    all
};

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(version: Version, uri: &str, hosts: &[&'static str]) -> Option<Refusal> {
        let headers: HeaderMap = hosts.iter().map(|host| (header::HOST, HeaderValue::from_static(host))).collect();
        Host::of(&headers).check(&uri.parse().expect("a target"), version, true)
    }

    #[test]
    fn http1_names_one_valid_host() {
        for host in ["", "a", "example.com", "a.b:80", "a:", "[::1]", "[::1]:8080", "10.0.0.1:1", "a_b.c-d", "a%20b"] {
            assert_eq!(verdict(Version::HTTP_11, "/", &[host]), None, "{host}");
        }
        for host in ["a b", "a/b", "u@a", "a:b", "a:1:2", "[::1", "[]", "[::1]x", "::1", "a#", "a?b", "a\\b", "a, b"] {
            assert_eq!(verdict(Version::HTTP_11, "/", &[host]), Some(INVALID), "{host}");
        }
        assert_eq!(verdict(Version::HTTP_11, "/", &[]), Some(MISSING));
        assert_eq!(verdict(Version::HTTP_10, "/", &[]), None);
        assert_eq!(verdict(Version::HTTP_11, "/", &["a", "a"]), Some(TWO));
        assert_eq!(verdict(Version::HTTP_10, "/", &["a", "b"]), Some(TWO));
    }

    #[test]
    fn the_absolute_form_wins_in_http1_and_agrees_in_http2() {
        assert_eq!(verdict(Version::HTTP_11, "http://a/x", &["b"]), None);
        assert_eq!(verdict(Version::HTTP_11, "http://a/x", &[]), Some(MISSING));
        assert_eq!(verdict(Version::HTTP_11, "http://u@a/x", &["a"]), Some(INVALID));
        assert_eq!(verdict(Version::HTTP_2, "http://a/x", &["b"]), Some(TWO));
        assert_eq!(verdict(Version::HTTP_2, "http://a:80/x", &["b:80"]), Some(TWO));
        for (uri, host) in
            [("http://a/", "A"), ("http://a:80/", "a"), ("https://a/", "a:443"), ("http://a:8080/", "a:8080")]
        {
            assert_eq!(verdict(Version::HTTP_2, uri, &[host]), None, "{uri} {host}");
        }
        assert_eq!(verdict(Version::HTTP_2, "https://a/", &["a:80"]), Some(TWO));
        assert_eq!(verdict(Version::HTTP_2, "http://a/", &[]), None);
    }
}
