//! The client behind trusted proxies, from `X-Forwarded-For` or `Forwarded` (RFC 7239).
//!
//! Each proxy appends the address of its peer. So the list is read from the right, as long as the proxy that added
//! an entry is trusted; entries further left may be forged. `Forwarded` counts only without
//! `X-Forwarded-For`: nearly all proxies set that one, and would pass on a client's own `Forwarded`. Headers
//! from a peer outside `server.trusted_peers` are ignored.
//!
//! Next: [`super::info`].

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, header};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The client of a request that came from the trusted `peer`: the first address from the right that is not trusted.
pub(super) fn client(headers: &HeaderMap, peer: IpAddr, trusts: impl Fn(IpAddr) -> bool) -> IpAddr {
    if headers.contains_key(&FOR) {
        return walk(entries(headers, &FOR).map(address), peer, trusts);
    }
    if headers.contains_key(header::FORWARDED) {
        return walk(entries(headers, &header::FORWARDED).map(|entry| address(parameter(entry, "for")?)), peer, trusts);
    }
    peer
}

/// `http` or `https`, as requested from the last trusted proxy.
pub(super) fn scheme(headers: &HeaderMap) -> Option<&'static str> {
    let said = match entries(headers, &PROTO).next() {
        Some(said) => said,
        None => parameter(entries(headers, &header::FORWARDED).next()?, "proto")?,
    };
    ["http", "https"].into_iter().find(|scheme| said.eq_ignore_ascii_case(scheme))
}

/// The host requested from the last trusted proxy.
pub(super) fn host(headers: &HeaderMap) -> Option<&str> {
    let said = match entries(headers, &HOST).next() {
        Some(said) => said,
        None => parameter(entries(headers, &header::FORWARDED).next()?, "host")?,
    };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    (!said.is_empty() && said.bytes().all(is_host)).then_some(said)
}

fn walk(entries: impl Iterator<Item = Option<IpAddr>>, peer: IpAddr, trusts: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut client = peer;
    for entry in entries {
        // Addresses behind an unreadable entry are unknown.
        let Some(entry) = entry else { break };
        client = entry;
        if !trusts(entry) {
            break;
        }
    }
    client
}

/// The entries of a list over all its lines, from the right; a non-text entry is empty.
fn entries<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().rev();
    lines.map(HeaderValue::to_str).map(Result::unwrap_or_default).flat_map(|line| line.rsplit(',')).map(str::trim)
}

/// A parameter of an entry of `Forwarded`, without its quotes.
fn parameter<'a>(entry: &'a str, name: &str) -> Option<&'a str> {
    let pairs = entry.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?;
    let value = value.trim();
    Some(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

/// An address with or without a port; one of IPv6 may stand in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_of(lines: &[(&'static str, &'static str)]) -> String {
        let headers: HeaderMap = lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let ours = |address: IpAddr| matches!(address, IpAddr::V4(address) if address.is_private());
        client(&headers, "10.0.0.1".parse().expect("an address"), ours).to_string()
    }

    #[test]
    fn the_list_is_walked_from_the_right_while_its_writers_are_trusted() {
        for (list, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("198.51.100.9, 192.0.2.1", "192.0.2.1"),
            ("198.51.100.9,192.0.2.1 , 10.0.0.2,10.0.0.3", "192.0.2.1"),
            ("10.0.0.9, 192.0.2.1", "192.0.2.1"),
            ("10.0.0.7, 10.0.0.8", "10.0.0.7"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            // What cannot be read ends the walk.
            ("198.51.100.9, unknown, 10.0.0.2", "10.0.0.2"),
            ("198.51.100.9, , 10.0.0.2", "10.0.0.2"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(client_of(&[("x-forwarded-for", list)]), expected, "{list}");
        }
    }

    #[test]
    fn lines_are_one_list() {
        let lines =
            [("x-forwarded-for", "198.51.100.9"), ("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "10.0.0.2")];
        assert_eq!(client_of(&lines), "192.0.2.1");
    }

    #[test]
    fn forwarded_counts_where_it_stands_alone() {
        for (list, expected) in [
            ("for=192.0.2.1", "192.0.2.1"),
            ("For=\"[2001:db8::1]:47\";proto=https", "2001:db8::1"),
            ("for=198.51.100.9, by=10.0.0.1; for = 192.0.2.1 ;proto=http, for=10.0.0.2", "192.0.2.1"),
            ("for=198.51.100.9, for=_hidden, for=10.0.0.2", "10.0.0.2"),
            ("proto=https", "10.0.0.1"),
        ] {
            assert_eq!(client_of(&[("forwarded", list)]), expected, "{list}");
        }
        assert_eq!(client_of(&[("forwarded", "for=198.51.100.9"), ("x-forwarded-for", "192.0.2.1")]), "192.0.2.1");
    }

    #[test]
    fn scheme_and_host_are_the_last_proxys() {
        let of = |name, value: &'static str| -> HeaderMap {
            [(name, HeaderValue::from_static(value))].into_iter().collect()
        };
        assert_eq!(scheme(&of(PROTO, "http, HTTPS")), Some("https"));
        assert_eq!(scheme(&of(PROTO, "javascript")), None);
        assert_eq!(scheme(&of(header::FORWARDED, "proto=http, proto=https;for=192.0.2.1")), Some("https"));
        assert_eq!(host(&of(HOST, "evil, example.com:80")), Some("example.com:80"));
        assert_eq!(host(&of(header::FORWARDED, "host=\"example.com\"")), Some("example.com"));
        assert_eq!(host(&of(HOST, "a/b")), None);
        assert_eq!((scheme(&HeaderMap::new()), host(&HeaderMap::new())), (None, None));
    }

    #[test]
    fn no_list_makes_it_panic() {
        let letters = [",", ";", "=", "\"", "[", "]", ":", ".", " ", "for", "proto", "1", "ff", "10.0.0.2", "_"];
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let text: String = (0..random.usize(..20)).map(|_| letters[random.usize(..letters.len())]).collect();
            let value = HeaderValue::from_str(&text).expect("visible letters");
            for name in [FOR, header::FORWARDED, PROTO, HOST] {
                let headers: HeaderMap = [(name, value.clone())].into_iter().collect();
                client(&headers, IpAddr::from([10, 0, 0, 1]), |_| true);
                let _ = (scheme(&headers), host(&headers));
            }
        }
    }
}
