//! A plain HTTP listener that redirects to https.
//!
//! With 308, so that a POST stays a POST. It never redirects to a host other than the requested one, and with
//! `tls.redirect_hosts` only to those; an invalid host is refused, so that a forged `Host` cannot misdirect a client.
//!
//! Next: [`super::super::settings`].

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
    routing::{MethodFilter, any, on},
};
use http::{HeaderMap, StatusCode, Uri, header};

use super::super::settings::{HTTPS, Settings};
use crate::{
    peer::ConnectionInfo,
    problem::{Code, Problem},
    router::Router,
};

/// Redirect target.
#[derive(Debug)]
struct Target {
    /// In lower case; all where empty.
    hosts: Vec<String>,
    port: u16,
}

/// Every path redirects to https.
pub(crate) fn router(settings: &Settings) -> Router {
    let hosts = settings.redirect_hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
    let target = Arc::new(Target { hosts, port: settings.redirect_port });
    // `OPTIONS /` is a balancer's check, which names no host: it gets the verdict of `/healthz`.
    let all = MethodFilter::GET.or(MethodFilter::POST).or(MethodFilter::PUT).or(MethodFilter::PATCH);
    let root = on(all.or(MethodFilter::DELETE).or(MethodFilter::TRACE), redirect);
    Router::new().route("/", root).route("/{*path}", any(redirect)).with_state(target)
}

async fn redirect(
    State(target): State<Arc<Target>>,
    Extension(info): Extension<ConnectionInfo>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let host = info.host(&uri, &headers);
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    match host.and_then(|host| target.location(host, path)) {
        Some(location) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response(),
        None => Problem::new(Code::MalformedRequest).with_detail("This host is not served.").into_response(),
    }
}

impl Target {
    fn location(&self, asked: &str, path: &str) -> Option<String> {
        let host = host(asked)?.to_ascii_lowercase();
        if !self.hosts.is_empty() && !self.hosts.contains(&host) {
            return None;
        }
        Some(if self.port == HTTPS {
            format!("https://{host}{path}")
        } else {
            format!("https://{host}:{}{path}", self.port)
        })
    }
}

/// The host of `host[:port]`, where it is one and nothing else.
fn host(asked: &str) -> Option<&str> {
    let (host, port) = match asked.rsplit_once(':') {
        // `[::1]` alone has colons, but none that leads to a port.
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (asked, ""),
    };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        // 253: what a name may have in all (RFC 1035).
        None => {
            (1..=253).contains(&host.len()) && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        }
    };
    (is_host && port.bytes().all(|byte| byte.is_ascii_digit())).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_kept_and_its_port_is_not() {
        let target = Target { hosts: Vec::new(), port: HTTPS };
        for (asked, location) in [
            ("example.com", Some("https://example.com/a?b=c")),
            ("EXAMPLE.com:8080", Some("https://example.com/a?b=c")),
            ("[2001:db8::1]:80", Some("https://[2001:db8::1]/a?b=c")),
            ("", None),
            (":80", None),
            ("evil.example/", None),
            ("user@evil.example", None),
            ("evil.example#", None),
            ("evil.example\\", None),
            ("example.com:80@evil.example", None),
            ("[::1", None),
            ("a b", None),
        ] {
            assert_eq!(target.location(asked, "/a?b=c").as_deref(), location, "{asked}");
        }
        let other = Target { hosts: vec!["example.com".into()], port: 8443 };
        assert_eq!(other.location("Example.Com", "//evil").as_deref(), Some("https://example.com:8443//evil"));
        assert_eq!(other.location("www.example.com", "/"), None);
    }
}
