//! Bodies that their route decompresses. On all other routes a body with a content coding is 415.
//!
//! The limits of pace and time hold for what the client sends, the limit of size for what the handler reads: a few
//! kilobytes of gzip may be gigabytes.
//!
//! Next: [`super::response`].

use std::io;

use async_compression::tokio::bufread::GzipDecoder;
use axum::{
    body::Body,
    extract::Request,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};
use futures_util::{TryStreamExt, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _};
use tokio_util::io::{ReaderStream, StreamReader};

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
    let handlers: MethodRouter<S> = handlers.layer(from_fn(decoded));
    handlers.layer(from_fn(named))
}

/// So that a coding has one name in one field.
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

/// Decodes the one coding that is known, and refuses others.
async fn decoded(mut request: Request, next: Next) -> Response {
    match request.headers().get(header::CONTENT_ENCODING) {
        None => {}
        Some(coding) if coding == "gzip" => {
            for name in [header::CONTENT_ENCODING, header::CONTENT_LENGTH] {
                request.headers_mut().remove(name);
            }
            request = request.map(|body| Body::from_stream(stream::once(unzipped(body)).try_flatten()));
        }
        Some(_) => return (StatusCode::UNSUPPORTED_MEDIA_TYPE, [(header::ACCEPT_ENCODING, "gzip")]).into_response(),
    }
    next.run(request).await
}

/// All members of `body`, which make one file (RFC 1952, section 2.2); what follows them has to be another. No body at
/// all is an empty one.
async fn unzipped(body: Body) -> io::Result<ReaderStream<impl AsyncRead>> {
    let mut body = StreamReader::new(TryStreamExt::map_err(body.into_data_stream(), io::Error::other));
    let is_empty = body.fill_buf().await?.is_empty();
    let mut decoder = GzipDecoder::new(body);
    decoder.multiple_members(true);
    Ok(ReaderStream::new(decoder.take(if is_empty { 0 } else { u64::MAX })))
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
