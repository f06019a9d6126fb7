//! The request id: the caller's if valid, otherwise a new one.
//!
//! Next: [`super::protect`].

use http::{HeaderName, HeaderValue};

use crate::request;

/// The header that carries it, in and out.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// 128: room for a UUID with a prefix, and a bound on what a caller puts into every log line.
const MAX_LENGTH: usize = 128;

/// The request's id, where `incoming` is the caller's.
pub(super) fn request_id(incoming: Option<&HeaderValue>) -> HeaderValue {
    let mut id = incoming.filter(|value| is_valid(value.as_bytes())).cloned().unwrap_or_else(request::new_id);
    // No value comes twice. HPACK would give each a place in its tables, and h2 compares it with all that are there.
    id.set_sensitive(true);
    id
}

/// Letters, digits and `-_.:+/=@`: no special characters for logs, URLs or shells.
fn is_valid(id: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:+/=@".contains(byte);
    (1..=MAX_LENGTH).contains(&id.len()) && id.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(incoming: &'static [u8]) -> HeaderValue {
        request_id(Some(&HeaderValue::from_bytes(incoming).expect("a header value")))
    }

    #[test]
    fn a_valid_id_is_kept_and_any_other_replaced() {
        assert_eq!(id_for(b"abc-123_4.5:6"), "abc-123_4.5:6");
        for bad in [&b""[..], b"two words", b"semi;colon", b"quote\"", b"\xc3\xa4", &[b'a'; 129]] {
            let id = id_for(bad);
            assert_eq!(id.len(), 32, "{bad:?}");
            assert!(id.as_bytes().iter().all(u8::is_ascii_hexdigit));
        }
    }

    #[test]
    fn generated_ids_differ() {
        assert_ne!(request_id(None), request_id(None));
    }
}
