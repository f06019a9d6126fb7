//! The shape of a listen URL: `http://host:port`, and the doors that a build may lack.
//!
//! Next: [`super::check`].

use std::net::Ipv6Addr;

use crate::chassis::host;

/// Why a listen URL is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no such URL; what was expected.
    Shape(&'static str),
    /// It needs these cargo features, with commas.
    Features(String),
}

const SHAPE: Refusal = Refusal::Shape("expected a URL such as http://[::]:8080");
const PORT: Refusal = Refusal::Shape("expected a port at the end, as in http://[::]:8080");

/// The port of a listen URL; 0 where the system chooses one, or where a descriptor is passed.
pub(super) fn port(url: &str) -> Result<u16, Refusal> {
    let (scheme, rest) = url.split_once("://").ok_or(SHAPE)?;
    let scheme = scheme.to_ascii_lowercase();
    let (protocol, transport) = scheme.split_once('+').unwrap_or((&scheme, ""));
    let protocol = match protocol {
        "http" => None,
        "https" => Some("tls"),
        "fastcgi" => Some("fastcgi"),
        "uwsgi" => Some("uwsgi"),
        _ => return Err(Refusal::Shape("expected the scheme http, as in http://[::]:8080")),
    };
    let carrier = match transport {
        "" => None,
        "unix" | "fd" => Some("host"),
        _ => return Err(Refusal::Shape("expected the scheme http, as in http://[::]:8080")),
    };
    let carrier = carrier.filter(|_| !host::AVAILABLE);
    let lacking: Vec<&str> = protocol.into_iter().chain(carrier).collect();
    match transport {
        _ if !lacking.is_empty() => Err(Refusal::Features(lacking.join(","))),
        "fd" => descriptor(rest),
        "unix" => Err(Refusal::Shape("this version has no Unix listener")),
        _ => authority_port(rest),
    }
}

/// The name of a socket unit, or a number.
fn descriptor(rest: &str) -> Result<u16, Refusal> {
    let name = rest.strip_suffix('/').unwrap_or(rest);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._@".contains(&byte);
    let shape = Refusal::Shape("expected a descriptor's name or number, as in http+fd://web");
    if !name.is_empty() && name.bytes().all(fits) { Ok(0) } else { Err(shape) }
}

fn authority_port(rest: &str) -> Result<u16, Refusal> {
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match authority.rsplit_once(':') {
        // `[::1]` alone has colons, but none that leads to a port.
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => return Err(PORT),
    };
    if !is_host(host) {
        return Err(SHAPE);
    }
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| port.parse().ok()).flatten().ok_or(PORT)
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listen_url_has_a_host_and_a_port() {
        for (url, expected) in [
            ("http://[::]:8080", 8080),
            ("http://0.0.0.0:80", 80),
            ("HTTP://localhost:0/", 0),
            ("http://[::ffff:127.0.0.1]:65535", 65535),
        ] {
            assert_eq!(port(url), Ok(expected), "{url}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for url in
            ["8080", "http://", "http://:8080", "http://::1:8080", "http://u@h:80", "http://h:80/path", "ftp://h:1"]
        {
            assert!(matches!(port(url), Err(Refusal::Shape(_))), "{url}");
        }
        for url in ["http://host", "http://[::1]", "http://host:", "http://host:65536", "http://host:+80"] {
            assert_eq!(port(url), Err(PORT), "{url}");
        }
    }

    #[test]
    fn a_door_that_this_build_lacks_names_its_feature() {
        let with_host = |feature: &str| if host::AVAILABLE { feature.into() } else { format!("{feature},host") };
        for (url, features) in [
            ("https://[::]:8443", "tls".into()),
            ("fastcgi://[::]:9000", "fastcgi".into()),
            ("uwsgi+unix:///run/app.sock", with_host("uwsgi")),
        ] {
            assert_eq!(port(url), Err(Refusal::Features(features)), "{url}");
        }
        if !host::AVAILABLE {
            assert_eq!(port("http+fd://web"), Err(Refusal::Features("host".into())));
        }
    }

    #[test]
    fn a_descriptor_has_a_name_or_a_number() {
        if host::AVAILABLE {
            for url in ["http+fd://web", "http+fd://0", "http+fd://my-service.socket/"] {
                assert_eq!(port(url), Ok(0), "{url}");
            }
            for url in ["http+fd://", "http+fd:///run/web", "http+fd://a:b"] {
                assert!(matches!(port(url), Err(Refusal::Shape(_))), "{url}");
            }
        }
    }
}
