//! What strangers send, changed at random: no parser panics, and what gets through holds. `make fuzz` does it for longer.

use bytes::BytesMut;

use super::{
    cgi::{self, Pair},
    fastcgi::{params, record},
    uwsgi::packet,
};

const VARIABLES: [Pair<'static>; 9] = [
    (b"REQUEST_METHOD", b"POST"),
    (b"REQUEST_URI", b"/a%2Fb?q=1"),
    (b"CONTENT_LENGTH", b"5"),
    (b"HTTP_CONTENT_LENGTH", b"5"),
    (b"HTTP_HOST", b"test"),
    (b"HTTP_PROXY", b"http://192.0.2.66"),
    (b"HTTP_X_FORWARDED_FOR", b"192.0.2.1"),
    (b"HTTP_TRANSFER_ENCODING", b"chunked"),
    (b"REMOTE_ADDR", b"192.0.2.1"),
];

fn fastcgi() -> Vec<u8> {
    let (mut variables, mut out) = (BytesMut::new(), BytesMut::new());
    for (name, value) in VARIABLES {
        params::put(&mut variables, name, value);
    }
    record::put(&mut out, record::BEGIN_REQUEST, 1, &[0, 1, 1, 0, 0, 0, 0, 0]);
    record::put_stream(&mut out, record::PARAMS, 1, &variables);
    record::put(&mut out, record::PARAMS, 1, b"");
    record::put(&mut out, record::STDIN, 1, b"12345");
    out.to_vec()
}

fn uwsgi() -> Vec<u8> {
    let text = |text: &[u8]| [&u16::try_from(text.len()).expect("a short text").to_le_bytes()[..], text].concat();
    VARIABLES.iter().flat_map(|(name, value)| [text(name), text(value)].concat()).collect()
}

/// A few bytes changed, left out, doubled or swapped.
fn changed(bytes: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.usize(1..6) {
        let (at, to) = (random.usize(..bytes.len()), random.usize(..bytes.len()));
        match random.u8(..5) {
            0 => bytes[at] = random.u8(..),
            1 => bytes[at] ^= 1 << random.u8(..8),
            2 => bytes.swap(at, to),
            3 => bytes.truncate(at.max(8)),
            _ => drop(bytes.splice(at..at, bytes[at.min(to)..at.max(to)].to_vec())),
        }
    }
    bytes
}

fn holds(pairs: &[Pair<'_>]) -> bool {
    let Ok(head) = cgi::read(pairs.iter().copied()) else { return false };
    let headers = &head.parts.headers;
    assert!(!headers.contains_key("proxy") && !headers.contains_key("transfer-encoding"), "{headers:?}");
    let lengths: Vec<_> = headers.get_all("content-length").iter().collect();
    assert_eq!(lengths.len(), usize::from(head.length.is_some()), "{headers:?}");
    assert!(headers.get_all("x-forwarded-for").iter().count() <= 1, "{headers:?}");
    true
}

#[test]
fn changed_records_break_nothing() {
    let (whole, mut random, mut requests) = (fastcgi(), fastrand::Rng::with_seed(1), 0);
    for _ in 0..30_000 {
        let mut buffer = BytesMut::from(&changed(&whole, &mut random)[..]);
        let mut variables = Vec::new();
        while let Ok(Some(record)) = record::take(&mut buffer) {
            if record.kind == record::PARAMS {
                variables.extend_from_slice(&record.content);
            }
        }
        requests += usize::from(params::read(&variables).is_ok_and(|pairs| holds(&pairs)));
    }
    assert!(requests > 1_000, "{requests} got through: the changes are too coarse");
}

#[test]
fn changed_packets_break_nothing() {
    let (whole, mut random, mut requests) = (uwsgi(), fastrand::Rng::with_seed(2), 0);
    for _ in 0..30_000 {
        let changed = changed(&whole, &mut random);
        requests += usize::from(packet::pairs(&changed).is_ok_and(|pairs| holds(&pairs)));
    }
    assert!(requests > 1_000, "{requests} got through: the changes are too coarse");
}
