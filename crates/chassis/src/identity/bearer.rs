//! The token in `Authorization: Bearer …`, RFC 6750, section 2.1.
//!
//! Tokens in forms and queries (sections 2.2 and 2.3) are not read: logs of proxies have them.
//!
//! Next: [`super::key`].

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::refusal::Refusal;
use crate::values::Size;

/// 8 KiB: several times what issuers write, and what common proxies bound a header to.
pub(super) const MAX_TOKEN: Size = Size::kib(8);

/// The token; other schemes are for other guards.
pub(super) fn token(headers: &HeaderMap, max: Size) -> Result<&str, Refusal> {
    let value = only(headers, &header::AUTHORIZATION)?.to_str().map_err(|_| Refusal::Malformed("not ASCII"))?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::Missing);
    }
    let token = token.trim_matches(' ');
    if token.len() > max.len() {
        return Err(Refusal::invalid("the token is too long"));
    }
    if is_token68(token) { Ok(token) } else { Err(Refusal::Malformed("not a bearer token")) }
}

/// The value of a header that may be there once: of two, a proxy may have judged the other.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a HeaderValue, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(Refusal::Missing),
        (Some(value), None) => Ok(value),
        (Some(_), Some(_)) => Err(Refusal::Malformed("the header is there twice")),
    }
}

/// RFC 9110, section 11.2.
fn is_token68(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&'static str]) -> Result<String, Refusal> {
        let lines = values.iter().map(|value| (header::AUTHORIZATION, HeaderValue::from_static(value)));
        token(&lines.collect(), MAX_TOKEN).map(str::to_owned)
    }

    #[test]
    fn a_bearer_token_is_read_whatever_the_case_of_its_scheme() {
        for value in ["Bearer abc.d-e_f~+/==", "bearer abc.d-e_f~+/==", "BEARER  abc.d-e_f~+/== "] {
            assert_eq!(read(&[value]).unwrap(), "abc.d-e_f~+/==");
        }
    }

    #[test]
    fn what_is_not_one_token_is_refused() {
        for values in [&[][..], &["Basic YTpi"], &["Bearertoken"], &["token"]] {
            assert_eq!(read(values), Err(Refusal::Missing), "{values:?}");
        }
        for values in [
            &["Bearer a", "Bearer a"][..],
            &["Bearer a", "Basic YTpi"],
            &["Bearer"],
            &["Bearer "],
            &["Bearer ="],
            &["Bearer a b"],
            &["Bearer a,b"],
            &["Bearer \"a\""],
        ] {
            assert!(matches!(read(values), Err(Refusal::Malformed(_))), "{values:?}");
        }
        let huge: &'static str = Box::leak(format!("Bearer {}", "a".repeat(8193)).into_boxed_str());
        assert!(matches!(read(&[huge]), Err(Refusal::Invalid(_))));
    }
}
