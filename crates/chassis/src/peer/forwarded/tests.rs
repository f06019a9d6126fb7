//! Lists as proxies and clients write them.

use std::net::Ipv4Addr;

use super::*;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

fn of(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let line =
        |(name, value): &(&'static str, &'static str)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    lines.iter().map(line).collect()
}

fn ours(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.is_private())
}

fn client_of(lines: &[(&'static str, &'static str)]) -> String {
    client(&of(lines), PEER, ours).to_string()
}

fn scheme_of(lines: &[(&'static str, &'static str)]) -> Option<&'static str> {
    scheme(&of(lines), PEER, ours)
}

fn host_of(lines: &[(&'static str, &'static str)]) -> Option<String> {
    host(&of(lines), PEER, ours).map(str::to_owned)
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
fn what_stands_between_quotes_separates_nothing() {
    for (list, expected) in [
        ("for=192.0.2.1;host=\"a,for=198.51.100.9\"", "192.0.2.1"),
        ("for=192.0.2.1;host=\"a;for=198.51.100.9\"", "192.0.2.1"),
        ("for=192.0.2.1;host=\"a\\\",for=198.51.100.9\"", "192.0.2.1"),
        ("for=198.51.100.9, for=\"192.0.2.1\";by=\"10.0.0.1,10.0.0.2\", for=10.0.0.2", "192.0.2.1"),
        ("for=\"\\192.0.2.1\"", "192.0.2.1"),
        ("for=\"192.0.2.1:_hidden\"", "192.0.2.1"),
        ("for=\"[2001:db8::1]:_a.b-c\"", "2001:db8::1"),
        // What cannot be read says nothing: a client may have begun the quote, and a proxy appended to it.
        ("for=198.51.100.9;x=\", for=192.0.2.1", "10.0.0.1"),
        ("for=198.51.100.9;x=\", for=\"192.0.2.1\"", "10.0.0.1"),
        ("for=\"198.51.100.9\"x", "10.0.0.1"),
        ("for=198.51.100.9;for=192.0.2.1", "10.0.0.1"),
        ("for=192.0.2.1:port", "10.0.0.1"),
    ] {
        assert_eq!(client_of(&[("forwarded", list)]), expected, "{list}");
    }
    // Each line stands for itself.
    assert_eq!(client_of(&[("forwarded", "for=\"x"), ("forwarded", "for=192.0.2.1")]), "192.0.2.1");
}

#[test]
fn the_scheme_is_what_proxies_really_send() {
    for (list, expected) in [
        ("https", Some("https")),
        ("HTTPS", Some("https")),
        ("wss", Some("https")),
        ("ws", Some("http")),
        ("Http", Some("http")),
        (" https ", Some("https")),
        ("javascript", None),
        ("", None),
    ] {
        assert_eq!(scheme_of(&[("x-forwarded-proto", list)]), expected, "{list}");
    }
    assert_eq!(scheme_of(&[("forwarded", "proto=\"WSS\"")]), Some("https"));
    assert_eq!((scheme_of(&[]), host_of(&[])), (None, None));
}

/// Of a list the nearest proxy wrote the last entry; what stands before it may be the client's.
#[test]
fn scheme_and_host_are_what_the_nearest_proxy_says() {
    let with = |addresses, proto| scheme_of(&[("x-forwarded-for", addresses), ("x-forwarded-proto", proto)]);
    assert_eq!(with("192.0.2.1, 10.0.0.2", "https,http"), Some("http"));
    assert_eq!(with("192.0.2.1, 10.0.0.2", "http,https"), Some("https"));
    assert_eq!(scheme_of(&[("x-forwarded-proto", "http"), ("x-forwarded-proto", "HTTPS")]), Some("https"));
    let passed_on = [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=1.1.1.1;proto=https;host=evil.example")];
    assert_eq!((scheme_of(&passed_on), host_of(&passed_on)), (None, None), "the client's own, which a proxy passed on");

    let chain = "for=192.0.2.1;proto=https;host=example.com, for=10.0.0.2;proto=http;host=\"inside:8080\"";
    assert_eq!(scheme_of(&[("forwarded", chain)]), Some("https"));
    assert_eq!(host_of(&[("forwarded", chain)]).as_deref(), Some("example.com"));
    let forged = "for=198.51.100.9;proto=https;host=evil, for=192.0.2.1;proto=http;host=\"example.com\"";
    assert_eq!(scheme_of(&[("forwarded", forged)]), Some("http"));
    assert_eq!(host_of(&[("forwarded", forged)]).as_deref(), Some("example.com"));

    assert_eq!(host_of(&[("x-forwarded-host", "evil, example.com:80")]).as_deref(), Some("example.com:80"));
    assert_eq!(host_of(&[("x-forwarded-host", "a/b")]), None);
    assert_eq!(host_of(&[("forwarded", "host=\"a,b\"")]), None);
}

#[test]
fn no_list_makes_it_panic() {
    let letters = [",", ";", "=", "\"", "\\", "[", "]", ":", ".", " ", "for", "proto", "1", "ff", "10.0.0.2", "_"];
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let text: String = (0..random.usize(..20)).map(|_| letters[random.usize(..letters.len())]).collect();
        let value = HeaderValue::from_str(&text).expect("visible letters");
        for name in [FOR, header::FORWARDED, PROTO, HOST] {
            let headers: HeaderMap = [(name, value.clone())].into_iter().collect();
            client(&headers, PEER, |_| true);
            let _ = (scheme(&headers, PEER, ours), host(&headers, PEER, |_| true));
        }
    }
}
