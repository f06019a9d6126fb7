//! Headers as balancers send them, and as nobody may.

use super::header::{LONGEST, Malformed, Read, Source, read};

/// Reads as from a socket: never more than was asked for. Returns what was read, and how many bytes of it are left.
fn read_all(mut bytes: &[u8]) -> (Result<Source, Malformed>, usize) {
    let mut head = Vec::new();
    loop {
        match read(&head) {
            Ok(Read::Whole(source)) => return (Ok(source), bytes.len()),
            Ok(Read::Needs(needs)) if needs <= bytes.len() => {
                assert!(needs > 0);
                let (now, rest) = bytes.split_at(needs);
                head.extend_from_slice(now);
                bytes = rest;
            }
            Ok(Read::Needs(_)) | Err(Malformed) => return (Err(Malformed), bytes.len()),
        }
    }
}

fn client(address: &str) -> Source {
    Source::Client(address.parse().expect("an address"))
}

/// What the version 2 header with these four bytes and this rest is.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("a short rest").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, rest].concat()
}

const BEHIND: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

#[test]
fn a_line_tells_the_client_and_nothing_behind_it_is_read() {
    for (line, source) in [
        ("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", client("192.0.2.1:56324")),
        ("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", client("[2001:db8::1]:1")),
        ("PROXY TCP6 ::ffff:192.0.2.1 :: 1 2\r\n", client("192.0.2.1:1")),
        ("PROXY UNKNOWN\r\n", Source::Peer),
        ("PROXY UNKNOWN 192.0.2.1 192.0.2.1 1 2\r\n", Source::Peer),
    ] {
        let bytes = [line.as_bytes(), BEHIND].concat();
        assert_eq!(read_all(&bytes), (Ok(source), BEHIND.len()), "{line}");
    }
}

#[test]
fn a_line_that_is_none_is_refused() {
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(107));
    for line in [
        "GET / HTTP/1.1\r\n\r\n",
        "PROXY\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 1\r\n",
        "PROXY TCP4  192.0.2.1 198.51.100.1 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 +1 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 01 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n",
        "PROXY TCP4 192.0.2.256 198.51.100.1 1 443\r\n",
        "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n",
        "proxy TCP4 192.0.2.1 198.51.100.1 1 2\r\n",
        "PROXY UNKNOWNS 1\r\n",
        &long,
    ] {
        let bytes = [line.as_bytes(), BEHIND].concat();
        assert_eq!(read_all(&bytes).0, Err(Malformed), "{line}");
    }
}

#[test]
fn the_binary_header_tells_the_client_and_its_extras_are_skipped() {
    let v4 = [&[192, 0, 2, 1, 198, 51, 100, 1][..], &[0xdc, 4, 1, 187]].concat();
    let mut v6 = [0; 36];
    v6[..4].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
    v6[15] = 1;
    v6[33] = 80;
    let extras = [&v4[..], &[0x20, 0, 3, 1, 2, 3]].concat();
    for (bytes, source) in [
        (binary(0x21, 0x11, &v4), client("192.0.2.1:56324")),
        (binary(0x21, 0x21, &v6), client("[2001:db8::1]:80")),
        (binary(0x21, 0x11, &extras), client("192.0.2.1:56324")),
        (binary(0x21, 0x31, &[0; 216]), Source::Peer),
        (binary(0x21, 0x00, &[]), Source::Peer),
        (binary(0x21, 0x00, &[1, 2, 3]), Source::Peer),
        (binary(0x20, 0x00, &[]), Source::Peer),
        (binary(0x20, 0x11, &v4), Source::Peer),
    ] {
        let all = [&bytes[..], BEHIND].concat();
        assert_eq!(read_all(&all), (Ok(source), BEHIND.len()), "{bytes:?}");
    }
}

#[test]
fn a_binary_header_that_is_none_is_refused() {
    for bytes in [
        // Another version, an unknown command, an unknown family, datagrams.
        binary(0x11, 0x11, &[0; 12]),
        binary(0x22, 0x11, &[0; 12]),
        binary(0x21, 0x41, &[0; 12]),
        binary(0x21, 0x12, &[0; 12]),
        // Too short for its addresses, and too long for anybody.
        binary(0x21, 0x11, &[0; 11]),
        binary(0x21, 0x21, &[0; 35]),
        binary(0x21, 0x11, &vec![0; LONGEST - 15]),
        binary(0x20, 0x00, &vec![0; 65_535]),
    ] {
        assert_eq!(read_all(&[&bytes[..], BEHIND].concat()).0, Err(Malformed), "{:?}", &bytes[..16]);
    }
}

#[test]
fn no_bytes_break_it_and_it_never_asks_for_more_than_its_bound() {
    let whole = [
        b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n".to_vec(),
        binary(0x21, 0x11, &[1; 18]),
        binary(0x20, 0, &[]),
    ];
    let mut random = fastrand::Rng::with_seed(3);
    let mut read = 0;
    for _ in 0..30_000 {
        let mut bytes = random.choice(&whole).expect("one of them").clone();
        for _ in 0..random.usize(0..4) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        bytes.extend([b'x'; 4096]);
        let before = bytes.len();
        let (source, left) = read_all(&bytes);
        assert!(before - left <= LONGEST);
        read += usize::from(source.is_ok());
    }
    assert!(read > 1_000, "{read} got through: the changes are too coarse");
}
