//! The header of the PROXY protocol, versions 1 and 2: <https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt>.
//!
//! It is read from a socket without consuming a byte beyond it: the next bytes belong to another layer, maybe a TLS
//! handshake. So the parser returns how many bytes may be read next. It does not allocate, and refuses
//! whatever the specification does not allow.
//!
//! Next: [`super`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// The beginning of a header, with the number of bytes that are missing at least.
    Needs(usize),
    /// A whole one.
    Whole(Source),
}

/// The client of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The proxy's own connection, such as a health check, or an unsupported address family.
    Peer,
    Client(SocketAddr),
}

/// No header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const WORD: &[u8] = b"PROXY ";

/// 107 bytes: the longest line, as the specification counts it.
const LONGEST_LINE: usize = 107;

/// 2 KiB of addresses and extras: a client's certificate, which some proxies add, has room; the specification requires
/// at least 536 bytes.
pub(crate) const LONGEST: usize = 16 + 2048;

/// Reads what has come of a header.
pub(crate) fn read(bytes: &[u8]) -> Result<Read, Malformed> {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(byte, expected)| byte == expected);
    if begins(SIGNATURE) {
        return match bytes.len() {
            // Both versions have as many.
            ..12 => Ok(Read::Needs(12 - bytes.len())),
            12..16 => Ok(Read::Needs(16 - bytes.len())),
            _ => binary(bytes),
        };
    }
    if begins(WORD) { line(bytes) } else { Err(Malformed) }
}

fn line(bytes: &[u8]) -> Result<Read, Malformed> {
    if bytes.len() > LONGEST_LINE {
        return Err(Malformed);
    }
    match bytes {
        [line @ .., b'\r', b'\n'] => text(std::str::from_utf8(line).map_err(|_| Malformed)?).map(Read::Whole),
        _ if bytes.contains(&b'\n') => Err(Malformed),
        [.., b'\r'] => Ok(Read::Needs(1)),
        // Each missing field has at least a space and a character, followed by the line end.
        _ => {
            let fields = bytes.split(|byte| *byte == b' ').count();
            let fields = if bytes.starts_with(b"PROXY U") { 0 } else { 6_usize.saturating_sub(fields) };
            Ok(Read::Needs(if bytes.len() < 12 { 12 - bytes.len() } else { 2 * fields + 2 }))
        }
    }
}

fn text(line: &str) -> Result<Source, Malformed> {
    let rest = line.strip_prefix("PROXY ").ok_or(Malformed)?;
    if rest == "UNKNOWN" || rest.starts_with("UNKNOWN ") {
        return Ok(Source::Peer);
    }
    let mut fields = rest.split(' ');
    let mut next = || fields.next().ok_or(Malformed);
    let (family, source, destination) = (next()?, next()?, next()?);
    let (port, _) = (number(next()?)?, number(next()?)?);
    if fields.next().is_some() {
        return Err(Malformed);
    }
    let address = |text: &str| -> Result<IpAddr, Malformed> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().map(IpAddr::from).map_err(|_| Malformed),
            "TCP6" => text.parse::<Ipv6Addr>().map(IpAddr::from).map_err(|_| Malformed),
            _ => Err(Malformed),
        }
    };
    address(destination)?;
    Ok(client(address(source)?, port))
}

/// A port in decimal, without a sign or zeros before it.
fn number(text: &str) -> Result<u16, Malformed> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain).ok_or(Malformed)
}

/// `bytes` has the signature and the four bytes behind it: version and command, family and protocol, length.
fn binary(bytes: &[u8]) -> Result<Read, Malformed> {
    let length = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    let own = match bytes[12] {
        0x20 => true,
        0x21 => false,
        _ => return Err(Malformed),
    };
    let addresses = match bytes[13] {
        0x00 => 0,
        0x11 => 12,
        0x21 => 36,
        0x31 => 216,
        // The addresses of a health check are ignored.
        _ if own => 0,
        _ => return Err(Malformed),
    };
    if 16 + length > LONGEST || (!own && length < addresses) {
        return Err(Malformed);
    }
    match (16 + length).checked_sub(bytes.len()) {
        None => return Err(Malformed),
        Some(0) => {}
        Some(missing) => return Ok(Read::Needs(missing)),
    }
    let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    Ok(Read::Whole(match bytes[13] {
        _ if own => Source::Peer,
        0x11 => client(IpAddr::from(<[u8; 4]>::try_from(&bytes[16..20]).map_err(|_| Malformed)?), port(24)),
        0x21 => client(IpAddr::from(<[u8; 16]>::try_from(&bytes[16..32]).map_err(|_| Malformed)?), port(48)),
        _ => Source::Peer,
    }))
}

fn client(address: IpAddr, port: u16) -> Source {
    Source::Client(SocketAddr::new(address.to_canonical(), port))
}
