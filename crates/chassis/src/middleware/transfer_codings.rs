//! The transfer codings of a body (RFC 9112, sections 6.1 and 7): `chunked` alone.
//!
//! hyper takes any list that ends with `chunked`, and passes on what the other codings made as if it were the body. Two
//! readers that take a list differently see different ends of one message, so the connection ends with the refusal.
//!
//! Next: [`super::deadline`].

use http::{HeaderMap, StatusCode, header};

use crate::problem::{Code, Problem};

/// Why a body with these codings is not read.
pub(super) fn refusal(headers: &HeaderMap) -> Option<Problem> {
    let lines = headers.get_all(header::TRANSFER_ENCODING);
    let codings = || lines.iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let before_last = codings().count().saturating_sub(1);
    if before_last == 0 {
        return None;
    }
    if codings().take(before_last).any(|coding| coding.is_empty() || is_chunked(coding)) {
        let detail = "The transfer codings are invalid.";
        return Some(Problem::new(Code::MalformedRequest).with_detail(detail));
    }
    let problem = Problem::custom(StatusCode::NOT_IMPLEMENTED, "unsupported_transfer_coding");
    Some(problem.with_detail("The only transfer coding that is supported is chunked."))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// hyper has already refused a list that does not end with `chunked`.
    #[test]
    fn chunked_alone_is_read() {
        for (lines, expected) in [
            (&["chunked"][..], None),
            (&[" Chunked "], None),
            (&["gzip, chunked"], Some(501)),
            (&["gzip", "chunked"], Some(501)),
            (&["identity,chunked"], Some(501)),
            (&["chunked, chunked"], Some(400)),
            (&["chunked", "chunked"], Some(400)),
            (&["chunked, gzip, chunked"], Some(400)),
            (&[", chunked"], Some(400)),
        ] {
            let values = lines.iter().map(|line| (header::TRANSFER_ENCODING, HeaderValue::from_static(line)));
            let status = refusal(&values.collect()).map(|problem| problem.status().as_u16());
            assert_eq!(status, expected, "{lines:?}");
        }
    }
}
