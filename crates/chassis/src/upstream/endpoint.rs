//! One URL of another service, such as an issuer's token endpoint, with a client for it.
//!
//! Next: [`super::credentials`].

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use form_urlencoded::byte_serialize;
use http::{HeaderValue, Request, Response, Uri, header};

use super::{Settings, Upstream, UpstreamError, Upstreams};
use crate::values::Secret;

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    upstream: Upstream,
    path: String,
}

impl Endpoint {
    /// # Errors
    /// As [`Upstreams::client`], whose metrics have `name`.
    pub(crate) fn new(
        upstreams: &Upstreams,
        name: &'static str,
        url: &str,
        settings: &Settings,
    ) -> Result<Self, UpstreamError> {
        let (base, path) = split(url)?;
        Ok(Self { upstream: upstreams.client(name, &base, settings)?, path })
    }

    /// Validates `url`, for checking settings.
    pub(crate) fn check(url: &str) -> Result<(), UpstreamError> {
        Upstream::check_url(&split(url)?.0)
    }

    #[cfg(feature = "oidc")]
    pub(crate) async fn get(&self) -> Result<Response<Bytes>, UpstreamError> {
        let request = Request::get(&self.path).header(header::ACCEPT, JSON).body(Bytes::new());
        self.upstream.send(request.map_err(|_| UpstreamError::InvalidRequest)?).await
    }

    /// Sends a form with the credentials of `client`.
    pub(crate) async fn post(&self, client: &HeaderValue, form: String) -> Result<Response<Bytes>, UpstreamError> {
        let request = Request::post(&self.path).header(header::AUTHORIZATION, client.clone());
        let request = request.header(header::ACCEPT, JSON).header(header::CONTENT_TYPE, FORM).body(form.into());
        self.upstream.send(request.map_err(|_| UpstreamError::InvalidRequest)?).await
    }
}

/// The credentials of a client at its issuer: `client_secret_basic` of RFC 6749, section 2.3.1, where both are encoded as in
/// a form before they become those of RFC 7617.
pub(crate) fn basic(id: &str, secret: &Secret) -> HeaderValue {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(id), encoded(secret.expose()));
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair))).expect("base64");
    value.set_sensitive(true);
    value
}

/// The base and the path, with its query.
fn split(url: &str) -> Result<(String, String), UpstreamError> {
    let refused = UpstreamError::InvalidUrl("expected a URL such as https://host/path");
    let Ok(uri) = url.parse::<Uri>() else { return Err(refused) };
    match (uri.scheme_str(), uri.authority(), uri.path_and_query()) {
        (Some(scheme), Some(authority), Some(path)) => Ok((format!("{scheme}://{authority}"), path.to_string())),
        _ => Err(refused),
    }
}
