//! The client behind trusted proxies, from `X-Forwarded-For` or `Forwarded` (RFC 7239).
//!
//! Each proxy appends the address of its peer. So the list is read from the right, as long as the proxy that added
//! an entry is trusted; entries further left may be forged. `Forwarded` counts only without
//! `X-Forwarded-For`: nearly all proxies set that one, and would pass on a client's own `Forwarded`. Headers
//! from a peer outside `server.trusted_peers` are ignored. Of `X-Forwarded-Proto` and `X-Forwarded-Host` the last entry counts,
//! which the nearest proxy wrote: not each proxy that appends an address appends to those. An element of `Forwarded` has all.
//!
//! Next: [`super::info`].

use std::{borrow::Cow, net::IpAddr};

use http::{HeaderMap, HeaderName, HeaderValue, header};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The client of a request that came from the trusted `peer`: the first address from the right that is not trusted.
pub(super) fn client(headers: &HeaderMap, peer: IpAddr, trusts: impl Fn(IpAddr) -> bool) -> IpAddr {
    walk(headers, peer, trusts).0
}

/// `http` or `https`, as the client requested it. A WebSocket's scheme is that of its handshake: Traefik says `wss`.
pub(super) fn scheme(headers: &HeaderMap, peer: IpAddr, trusts: impl Fn(IpAddr) -> bool) -> Option<&'static str> {
    let said = match entries(headers, &PROTO).next() {
        Some(said) => Cow::Borrowed(said),
        None => parameter(element(headers, peer, &trusts)?, "proto")?,
    };
    let is = |schemes: [&str; 2]| schemes.into_iter().any(|scheme| said.eq_ignore_ascii_case(scheme));
    if is(["https", "wss"]) {
        return Some("https");
    }
    is(["http", "ws"]).then_some("http")
}

/// The host that the client requested.
pub(super) fn host(headers: &HeaderMap, peer: IpAddr, trusts: impl Fn(IpAddr) -> bool) -> Option<&str> {
    let said = match entries(headers, &HOST).next() {
        Some(said) => said,
        None => match parameter(element(headers, peer, &trusts)?, "host")? {
            Cow::Borrowed(said) => said,
            // No host needs an escape.
            Cow::Owned(_) => return None,
        },
    };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    (!said.is_empty() && said.bytes().all(is_host)).then_some(said)
}

/// The client, and how many proxies stand between it and the last one: the place of its entry from the right.
fn walk(headers: &HeaderMap, peer: IpAddr, trusts: impl Fn(IpAddr) -> bool) -> (IpAddr, usize) {
    if headers.contains_key(&FOR) {
        return walk_list(entries(headers, &FOR).map(address), peer, trusts);
    }
    walk_list(elements(headers).map(|element| address(&parameter(element, "for")?)), peer, trusts)
}

fn walk_list(
    entries: impl Iterator<Item = Option<IpAddr>>,
    peer: IpAddr,
    trusts: impl Fn(IpAddr) -> bool,
) -> (IpAddr, usize) {
    let mut client = (peer, 0);
    for (place, entry) in entries.enumerate() {
        // Addresses behind an unreadable entry are unknown.
        let Some(entry) = entry else { break };
        client = (entry, place);
        if !trusts(entry) {
            break;
        }
    }
    client
}

/// The element of `Forwarded` that the proxy wrote that saw the client.
fn element(headers: &HeaderMap, peer: IpAddr, trusts: impl Fn(IpAddr) -> bool) -> Option<&str> {
    if headers.contains_key(&FOR) {
        return None;
    }
    elements(headers).take(walk(headers, peer, trusts).1 + 1).last()
}

/// The entries of a list over all its lines, from the right; a non-text entry is empty.
fn entries<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().rev();
    lines.map(HeaderValue::to_str).map(Result::unwrap_or_default).flat_map(|line| line.rsplit(',')).map(str::trim)
}

/// The elements of `Forwarded` over all its lines, from the right. A line that cannot be read is one element that says
/// nothing: a client could hide its own in what a proxy quotes.
fn elements(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::FORWARDED).iter().rev();
    let lines = lines.map(HeaderValue::to_str).map(Result::unwrap_or_default);
    lines.flat_map(|line| split(line, b',').unwrap_or_else(|| vec![""]).into_iter().rev())
}

/// The parts of `text` between the separators outside of quotes; none if a quote has no end.
pub(super) fn split(text: &str, separator: u8) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut is_quoted, mut is_escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            byte if byte == separator && !is_quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (!is_quoted).then_some(parts)
}

/// A parameter of an element of `Forwarded`, without its quotes; none if it is there twice.
fn parameter<'a>(element: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let pairs = split(element, b';')?.into_iter().filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
    let (value, None) = (values.next()?, values.next()) else { return None };
    match value.strip_prefix('"') {
        Some(quoted) => unquoted(quoted.strip_suffix('"')?),
        None => (!value.contains('"')).then_some(Cow::Borrowed(value)),
    }
}

/// What stands between quotes, without its escapes (RFC 9110, section 5.6.4).
pub(super) fn unquoted(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['\\', '"']) {
        return Some(Cow::Borrowed(text));
    }
    let (mut plain, mut letters) = (String::with_capacity(text.len()), text.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return None,
            '\\' => plain.push(letters.next()?),
            letter => plain.push(letter),
        }
    }
    Some(Cow::Owned(plain))
}

/// An address with or without a port, which may be obfuscated (RFC 7239, section 6); one of IPv6 may stand in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let address = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (address, rest) = bracketed.split_once(']')?;
            (rest.is_empty() || is_port(rest.strip_prefix(':')?)).then_some(())?;
            IpAddr::V6(address.parse().ok()?)
        }
        None => match text.split_once(':') {
            Some((address, port)) if !port.contains(':') => {
                is_port(port).then_some(())?;
                IpAddr::V4(address.parse().ok()?)
            }
            _ => text.parse().ok()?,
        },
    };
    Some(address.to_canonical())
}

fn is_port(text: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match text.strip_prefix('_') {
        Some(name) => !name.is_empty() && name.bytes().all(is_name),
        None => text.parse::<u16>().is_ok() && text.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests;
