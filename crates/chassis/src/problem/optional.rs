//! `Option<Json<T>>` and `Option<Path<T>>`, as axum has them: absent is `None`, and what is there and wrong is a problem.
//!
//! Next: [`super::Form`].

use axum::extract::{
    FromRequest, FromRequestParts, OptionalFromRequest, OptionalFromRequestParts, Request, path::RawPathParams,
};
use http::{header, request::Parts};
use serde::de::DeserializeOwned;

use super::{Json, Path, Problem};

impl<T: DeserializeOwned + 'static, S: Send + Sync> OptionalFromRequest<S> for Json<T> {
    type Rejection = Problem;

    /// `None` without a content type, as axum's.
    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        if !request.headers().contains_key(header::CONTENT_TYPE) {
            return Ok(None);
        }
        <Self as FromRequest<S>>::from_request(request, state).await.map(Some)
    }
}

impl<T: DeserializeOwned + Send + 'static, S: Send + Sync> OptionalFromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    /// `None` on a route whose path has no parameters.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Problem> {
        match RawPathParams::from_request_parts(parts, state).await {
            Ok(parameters) if parameters.iter().next().is_none() => Ok(None),
            _ => <Self as FromRequestParts<S>>::from_request_parts(parts, state).await.map(Some),
        }
    }
}
