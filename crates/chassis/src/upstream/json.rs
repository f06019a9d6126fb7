//! Calls with JSON in both directions.
//!
//! Next: [`super::error`].

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use serde::{Serialize, de::DeserializeOwned};

use super::{Upstream, UpstreamError};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl Upstream {
    /// Sends a GET for `path`, and reads a `T` from the JSON of the response. An empty body is read as `null`: `()` for a
    /// 204.
    ///
    /// # Errors
    /// As [`Upstream::send`], and when the status is not 2xx or the body is not such a `T`. The setting `max_body` bounds
    /// the body.
    pub async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, UpstreamError> {
        let request = Request::get(path).header(header::ACCEPT, JSON).body(Bytes::new());
        self.read(request.map_err(|_| UpstreamError::InvalidRequest)?).await
    }

    /// Sends a POST of `body` as JSON to `path`, and reads a `T` as [`Upstream::get_json`] does. It is sent once: a POST
    /// is not retried.
    ///
    /// # Errors
    /// As [`Upstream::get_json`], and when `body` cannot be serialized.
    pub async fn post_json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + ?Sized + Sync),
    ) -> Result<T, UpstreamError> {
        let body = serde_json::to_vec(body).map_err(UpstreamError::Serialize)?;
        let request = Request::post(path).header(header::ACCEPT, JSON).header(header::CONTENT_TYPE, JSON);
        self.read(request.body(body.into()).map_err(|_| UpstreamError::InvalidRequest)?).await
    }

    async fn read<T: DeserializeOwned>(&self, request: Request<Bytes>) -> Result<T, UpstreamError> {
        let response = self.send(request).await?;
        if !response.status().is_success() {
            return Err(UpstreamError::Status(response.status()));
        }
        let body = response.body();
        serde_json::from_slice(if body.is_empty() { b"null" } else { body }).map_err(UpstreamError::Json)
    }
}
