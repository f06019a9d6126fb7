//! The service's parsers, file by file, and one function for each that may never panic. The files are taken as they are,
//! without the rest of the service: what a fuzzer builds is small.

#![allow(dead_code, reason = "each target uses its part")]

#[path = "../../src/transports/cgi.rs"]
mod cgi;
#[path = "../../src/peer/forwarded.rs"]
mod forwarded;
#[path = "../../src/transports/proxy/header.rs"]
mod header;
#[path = "../../src/transports/uwsgi/packet.rs"]
mod packet;
#[path = "../../src/transports/fastcgi/params.rs"]
mod params;
#[path = "../../src/transports/fastcgi/record.rs"]
mod record;
#[path = "../../src/transports/software.rs"]
mod software;

/// Where the files look for each other.
mod transports {
    pub(crate) use crate::cgi;
}

use bytes::BytesMut;

/// Records, and the variables in those that carry them.
pub fn fastcgi(data: &[u8]) {
    let mut buffer = BytesMut::from(data);
    let mut variables = Vec::new();
    loop {
        let before = buffer.len();
        record::ends(&buffer, record::STDIN, 1);
        let Ok(Some(record)) = record::take(&mut buffer) else { break };
        assert!(buffer.len() + 8 + record.content.len() <= before, "no byte is read twice");
        if record.kind == record::PARAMS {
            variables.extend_from_slice(&record.content);
        }
    }
    if let Ok(pairs) = params::read(&variables) {
        request(&pairs);
    }
}

/// A block of variables.
pub fn uwsgi(data: &[u8]) {
    if let Ok(pairs) = packet::pairs(data) {
        request(&pairs);
    }
}

/// What a balancer says first: not a byte behind it is asked for, and never more than the bound.
pub fn proxy(data: &[u8]) {
    let mut came = 0;
    loop {
        match header::read(&data[..came]) {
            Ok(header::Read::Needs(needs)) => {
                assert!(needs > 0, "it goes on");
                came += needs;
                assert!(came <= header::LONGEST, "{came} bytes");
                if came > data.len() {
                    return;
                }
            }
            Ok(header::Read::Whole(_)) => {
                let line = data.starts_with(b"PROXY");
                let ends = if line { data[..came].ends_with(b"\r\n") } else { came >= 16 };
                assert!(ends && !(line && data[..came - 1].contains(&b'\n')), "it ends where it ends");
                return;
            }
            Err(_) => return,
        }
    }
}

/// What holds for every request that is let in.
fn request(pairs: &[cgi::Pair<'_>]) {
    let Ok(head) = cgi::read(pairs.iter().copied()) else { return };
    let headers = &head.parts.headers;
    for name in ["proxy", "connection", "transfer-encoding", "upgrade", "te", "keep-alive"] {
        assert!(!headers.contains_key(name), "{name}");
    }
    let lengths: Vec<_> = headers.get_all("content-length").iter().collect();
    match head.length {
        None => assert!(lengths.is_empty()),
        Some(length) => assert_eq!(lengths, [length.to_string().as_str()]),
    }
    assert!(headers.get_all("x-forwarded-for").iter().count() <= 1);
}

/// Lines of headers, each a name's number and a value.
pub fn forwarded(data: &[u8]) {
    const NAMES: [&str; 4] = ["x-forwarded-for", "forwarded", "x-forwarded-proto", "x-forwarded-host"];
    let mut headers = http::HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let Some((first, value)) = line.split_first() else { continue };
        if let Ok(value) = http::HeaderValue::from_bytes(value) {
            headers.append(NAMES[usize::from(*first) % NAMES.len()], value);
        }
    }
    let peer = std::net::IpAddr::from([10, 0, 0, 1]);
    forwarded::client(&headers, peer, |address| address.is_ipv4());
    let trusts = |address: std::net::IpAddr| address.is_ipv4();
    let _ = (forwarded::scheme(&headers, peer, trusts), forwarded::host(&headers, peer, trusts));
}
