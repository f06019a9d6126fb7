//! Parsing of a listen URL: protocol and address.
//!
//! `http://host:port`, `http+unix:///path`, and the same for the optional protocols.
//!
//! Next: [`super::meant`].

use std::{
    net::Ipv6Addr,
    path::{Path, PathBuf},
};

use super::is_built_in;

/// The protocol of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Http,
    Https,
    Fastcgi,
    Uwsgi,
}

impl Door {
    /// The scheme of its listen URLs.
    pub(crate) const fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Fastcgi => "fastcgi",
            Self::Uwsgi => "uwsgi",
        }
    }
}

/// One entry of `server.listen`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listen {
    pub(crate) door: Door,
    pub(crate) address: Address,
}

/// Where a listener is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp {
        /// `host:port`, in lower case.
        authority: String,
        /// 0 lets the system choose one.
        port: u16,
    },
    Unix(PathBuf),
    /// A descriptor inherited from the service manager or the old process: its name or number.
    Passed(String),
}

impl Address {
    /// The port, where it is a fixed one.
    pub(crate) fn fixed_port(&self) -> Option<u16> {
        match self {
            Self::Tcp { port, .. } if *port != 0 => Some(*port),
            _ => None,
        }
    }

    /// Of a Unix socket.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Unix(path) => Some(path),
            Self::Tcp { .. } | Self::Passed(_) => None,
        }
    }

    /// Whether two listeners conflict.
    pub(crate) fn is_taken_by(&self, other: &Self) -> bool {
        self == other && !matches!(self, Self::Tcp { port: 0, .. })
    }
}

/// Why a listen URL is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is no such URL; what was expected.
    Shape(&'static str),
    /// It needs these cargo features, with commas.
    Features(String),
}

const SHAPE: Refusal = Refusal::Shape("expected a URL such as http://[::]:8080");
const SCHEME: Refusal = Refusal::Shape("expected the scheme http, as in http://[::]:8080");
const PORT: Refusal = Refusal::Shape("expected a port at the end, as in http://[::]:8080");
const PATH: Refusal = Refusal::Shape("expected an absolute path of at most 90 bytes, as in http+unix:///run/app.sock");
const DESCRIPTOR: Refusal = Refusal::Shape("expected a descriptor's name or number, as in http+fd://web");

/// 90: the kernel's 107 bytes, less the ending that the socket has until it is in its place.
const LONGEST_PATH: usize = 90;

/// Parses a listen URL.
pub(crate) fn parse(url: &str) -> Result<Listen, Refusal> {
    let (scheme, rest) = url.split_once("://").ok_or(SHAPE)?;
    let scheme = scheme.to_ascii_lowercase();
    let (protocol, transport) = scheme.split_once('+').map_or((&*scheme, None), |(left, right)| (left, Some(right)));
    let (door, feature) = match protocol {
        "http" => (Door::Http, None),
        "https" => (Door::Https, Some("tls")),
        "fastcgi" => (Door::Fastcgi, Some("fastcgi")),
        "uwsgi" => (Door::Uwsgi, Some("uwsgi")),
        _ => return Err(SCHEME),
    };
    let carrier = match transport {
        None | Some("unix") => None,
        Some("fd") => Some("host"),
        Some(_) => return Err(SCHEME),
    };
    let lacking: Vec<&str> = feature.into_iter().chain(carrier).filter(|feature| !is_built_in(feature)).collect();
    if !lacking.is_empty() {
        return Err(Refusal::Features(lacking.join(",")));
    }
    let address = match transport {
        Some("unix") => unix(rest)?,
        Some("fd") => descriptor(rest)?,
        _ => tcp(rest)?,
    };
    Ok(Listen { door, address })
}

/// The name of a socket unit, or a number.
fn descriptor(rest: &str) -> Result<Address, Refusal> {
    let name = rest.strip_suffix('/').unwrap_or(rest);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._@".contains(&byte);
    let fits = !name.is_empty() && name.bytes().all(fits);
    if fits { Ok(Address::Passed(name.to_owned())) } else { Err(DESCRIPTOR) }
}

fn unix(path: &str) -> Result<Address, Refusal> {
    let fits = path.starts_with('/') && !path.ends_with('/') && path.len() <= LONGEST_PATH && !path.contains('\0');
    if fits { Ok(Address::Unix(path.into())) } else { Err(PATH) }
}

fn tcp(rest: &str) -> Result<Address, Refusal> {
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
    let port = digits.then(|| port.parse().ok()).flatten().ok_or(PORT)?;
    Ok(Address::Tcp { authority: authority.to_ascii_lowercase(), port })
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

    fn port(url: &str) -> Result<u16, Refusal> {
        parse(url).map(|listen| match listen.address {
            Address::Tcp { port, .. } => port,
            other => panic!("no TCP address: {other:?}"),
        })
    }

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
    fn or_the_path_of_a_unix_socket() {
        let listen = parse("HTTP+unix:///run/App.sock").expect("a listen URL");
        assert_eq!(listen, Listen { door: Door::Http, address: Address::Unix("/run/App.sock".into()) });
        let long = format!("http+unix:///{}", "x".repeat(90));
        for url in ["http+unix://run/app.sock", "http+unix://", "http+unix:///run/", "http+unix:///a\0b", &long] {
            assert_eq!(parse(url), Err(PATH), "{url}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for url in [
            "8080",
            "http://",
            "http://:8080",
            "http://::1:8080",
            "http://u@h:80",
            "http://h:80/path",
            "ftp://h:1",
            "http+tcp://h:1",
            "http+://h:1",
        ] {
            assert!(matches!(parse(url), Err(Refusal::Shape(_))), "{url}");
        }
        for url in ["http://host", "http://[::1]", "http://host:", "http://host:65536", "http://host:+80"] {
            assert_eq!(parse(url), Err(PORT), "{url}");
        }
    }

    #[test]
    fn a_door_that_this_build_lacks_names_its_feature() {
        for (url, features) in [
            ("https://[::]:8443", &["tls"][..]),
            ("https+fd://web", &["tls", "host"]),
            ("http+fd://web", &["host"]),
            ("fastcgi://[::]:9000", &["fastcgi"]),
            ("uwsgi+unix:///run/app.sock", &["uwsgi"]),
        ] {
            let lacking: Vec<&str> = features.iter().copied().filter(|feature| !is_built_in(feature)).collect();
            match lacking.join(",") {
                none if none.is_empty() => assert!(parse(url).is_ok(), "{url}"),
                features => assert_eq!(parse(url), Err(Refusal::Features(features)), "{url}"),
            }
        }
    }

    #[test]
    fn a_descriptor_has_a_name_or_a_number() {
        if is_built_in("host") {
            for (url, name) in [("http+fd://web", "web"), ("http+fd://0", "0"), ("http+fd://my.socket/", "my.socket")] {
                assert_eq!(parse(url).map(|listen| listen.address), Ok(Address::Passed(name.into())), "{url}");
            }
            for url in ["http+fd://", "http+fd:///run/web", "http+fd://a:b"] {
                assert!(matches!(parse(url), Err(Refusal::Shape(_))), "{url}");
            }
        }
    }
}
