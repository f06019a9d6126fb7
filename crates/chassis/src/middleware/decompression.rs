//! Bodies that their route decompresses. On all other routes a body with a content coding is 415.
//!
//! The limits of pace and time hold for what the client sends, the limit of size for what the handler reads: a few
//! kilobytes of gzip may be gigabytes.
//!
//! Next: [`super::response`].

use axum::{
    body::Body,
    extract::Request,
    middleware::{Next, from_fn},
    response::Response,
    routing::MethodRouter,
};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tower_http::decompression::RequestDecompressionLayer;

use super::body::Broken;
use crate::problem::Code;

/// The limit of the body before it was decompressed, for what comes out of it. Only requests with a coding have it.
#[derive(Clone, Debug)]
pub(super) struct Decoded {
    pub(super) limit: usize,
    pub(super) broken: Broken,
}

/// Marks the response of a route that decompresses: whatever is wrong, that the body had a coding is not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decompressed;

/// Decompresses the bodies of requests to `handlers`; a coding other than gzip is 415 with `Accept-Encoding: gzip`.
pub(crate) fn decompressed<S: Clone + Send + Sync + 'static>(handlers: MethodRouter<S>) -> MethodRouter<S> {
    let handlers: MethodRouter<S> = handlers.layer(from_fn(limited));
    let handlers: MethodRouter<S> = handlers.layer(RequestDecompressionLayer::new());
    handlers.layer(from_fn(named))
}

/// tower-http knows a coding by its exact name, and reads the first field only.
async fn named(mut request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        name_codings(request.headers_mut());
    }
    let mut response = next.run(request).await;
    response.extensions_mut().insert(Decompressed);
    response
}

/// Writes the codings as one field, without those that change nothing (RFC 9110, section 8.4.1).
fn name_codings(headers: &mut HeaderMap) {
    let codings: Vec<String> = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(|coding| String::from_utf8_lossy(coding).trim().to_ascii_lowercase())
        .filter(|coding| !coding.is_empty() && coding != "identity")
        // Its old name.
        .map(|coding| if coding == "x-gzip" { "gzip".to_owned() } else { coding })
        .collect();
    headers.remove(header::CONTENT_ENCODING);
    if !codings.is_empty() {
        // Letters that no field may have are of no coding either.
        let value = HeaderValue::try_from(codings.join(", ")).unwrap_or(HeaderValue::from_static("unknown"));
        headers.insert(header::CONTENT_ENCODING, value);
    }
}

/// Bounds what comes out.
async fn limited(mut request: Request, next: Next) -> Response {
    if let Some(Decoded { limit, broken }) = request.extensions_mut().remove() {
        request = request.map(|body| {
            Body::new(Limited::new(body, limit).map_err(move |error| {
                if error.is::<LengthLimitError>() {
                    broken.set(Code::BodyTooLarge).ok();
                }
                error
            }))
        });
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codings_are_one_field_in_lower_case() {
        for (lines, named) in [
            (&["GZip"][..], Some("gzip")),
            (&["x-gzip"], Some("gzip")),
            (&["identity"], None),
            (&["identity, gzip"], Some("gzip")),
            (&["gzip", "gzip"], Some("gzip, gzip")),
            (&["br"], Some("br")),
            (&[""], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(line));
            }
            name_codings(&mut headers);
            let found = headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().expect("letters"));
            assert_eq!(found, named, "{lines:?}");
        }
    }
}
