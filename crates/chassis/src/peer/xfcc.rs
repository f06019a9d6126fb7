//! The client's certificate, as a proxy forwards it in Envoy's `x-forwarded-client-cert`.
//!
//! A comma separates elements, a semicolon the pairs of one, and either may stand in double quotes. Each proxy appends an
//! element on the peer that it verified, so the last one is of the client of the nearest proxy, and those before it are as
//! trustworthy as the proxies that wrote them: they are not read. Envoy writes URIs and DNS names without quotes, so it
//! depends on the mesh's authority that no name has a separator in it.
//!
//! Next: [`super::pace`].

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};

use super::{
    ClientCertificate,
    forwarded::{split, unquoted},
};

const XFCC: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// The forwarded client certificate cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("x-forwarded-client-cert cannot be read")]
pub struct MalformedCertificate;

pub(super) fn is_in(headers: &HeaderMap) -> bool {
    headers.contains_key(&XFCC)
}

/// The certificate in the last element of the last line.
pub(super) fn certificate(headers: &HeaderMap) -> Result<Option<ClientCertificate>, MalformedCertificate> {
    let Some(line) = headers.get_all(&XFCC).iter().next_back() else { return Ok(None) };
    let elements = line.to_str().ok().and_then(|line| split(line, b','));
    let element = elements.and_then(|elements| elements.last().copied());
    element.and_then(read).map(Some).ok_or(MalformedCertificate)
}

/// `By=spiffe://a;Hash=…;Subject="CN=b,O=c";URI=spiffe://b;DNS=b`: keys in either case, URI and DNS repeat.
fn read(element: &str) -> Option<ClientCertificate> {
    let (mut subject, mut uris, mut dns_names) = (None, Vec::new(), Vec::new());
    for pair in split(element, b';')? {
        let (key, value) = pair.split_once('=')?;
        match key.trim().to_ascii_lowercase().as_str() {
            // Its escapes are those of RFC 4514, which Envoy passes on.
            "subject" if subject.is_none() => subject = Some(inner(value)?.0.to_owned()),
            "subject" => return None,
            "uri" => uris.push(plain(value)?),
            "dns" => dns_names.push(plain(value)?),
            _ => drop(plain(value)?),
        }
    }
    // "The URI key still exists even if the URI is empty", says Envoy's source.
    let named = |names: Vec<String>| names.into_iter().filter(|name| !name.is_empty()).collect();
    Some(ClientCertificate::new(subject.unwrap_or_default(), Vec::new()).with_names(named(uris), named(dns_names)))
}

fn plain(value: &str) -> Option<String> {
    match inner(value)? {
        (value, true) => unquoted(value).map(Cow::into_owned),
        (value, false) => Some(value.to_owned()),
    }
}

/// A value without its quotes, and whether it had any.
fn inner(value: &str) -> Option<(&str, bool)> {
    let value = value.trim();
    match value.strip_prefix('"') {
        Some(rest) => Some((rest.strip_suffix('"')?, true)),
        None => (!value.contains('"')).then_some((value, false)),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(lines: &[&'static str]) -> Result<Option<ClientCertificate>, MalformedCertificate> {
        let lines = lines.iter().map(|line| (XFCC, HeaderValue::from_static(line)));
        certificate(&lines.collect())
    }

    fn named(subject: &str, uris: &[&str], dns_names: &[&str]) -> ClientCertificate {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        ClientCertificate::new(subject.into(), Vec::new()).with_names(owned(uris), owned(dns_names))
    }

    #[test]
    fn the_names_of_the_last_element_are_read() {
        let web = "spiffe://cluster.local/ns/shop/sa/web";
        for (lines, expected) in [
            // As Envoy writes it: an empty subject has quotes, an empty URI none.
            (
                &[
                    "By=spiffe://cluster.local/ns/shop/sa/api;Hash=0a1b;Subject=\"\";URI=spiffe://cluster.local/ns/shop/sa/web",
                ][..],
                named("", &[web], &[]),
            ),
            (
                &["Hash=0a1b;Subject=\"CN=web,O=Example; Ltd\";URI=;DNS=a.example;DNS=b.example"],
                named("CN=web,O=Example; Ltd", &[], &["a.example", "b.example"]),
            ),
            (&["hash=0a1b; uri=\"spiffe://a/b\"; uri=spiffe://a/c"], named("", &["spiffe://a/b", "spiffe://a/c"], &[])),
            (&["Hash=1;URI=spiffe://a/first,Hash=2;URI=spiffe://a/last"], named("", &["spiffe://a/last"], &[])),
            (&["Hash=1;URI=spiffe://a/first", "Hash=2;URI=spiffe://a/last"], named("", &["spiffe://a/last"], &[])),
            // The escapes of a subject are the subject's own; those of another value are the header's.
            (&["Subject=\"CN=a\\,b\";DNS=\"a\\\"b\""], named("CN=a\\,b", &[], &["a\"b"])),
            (
                &["Hash=1;Cert=\"-----BEGIN%20CERTIFICATE-----%0A\";Chain=\"x,y;z=\";URI=spiffe://a/b"],
                named("", &["spiffe://a/b"], &[]),
            ),
        ] {
            assert_eq!(of(lines), Ok(Some(expected)), "{lines:?}");
        }
        assert_eq!(of(&[]), Ok(None));
    }

    #[test]
    fn what_cannot_be_read_is_no_certificate() {
        for line in [
            "",
            ",",
            "spiffe://a/b",
            "Subject=\"CN=a",
            "Subject=\"CN=a\"x",
            "Subject=\"a\";Subject=\"b\"",
            "URI=a\"b\"",
            "Hash=1;;URI=a",
            "DNS=\"a\\\"",
        ] {
            assert_eq!(of(&[line]), Err(MalformedCertificate), "{line}");
        }
    }
}
