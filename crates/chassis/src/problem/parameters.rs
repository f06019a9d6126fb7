//! Extractors of names and texts that reject with problems: the query, the path, and the body of a form.
//!
//! 422 for a wrong parameter, which is named; 400 for a path of another type. Neither repeats the input.
//!
//! Next: [`super::pairs`], which reads them.

use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request, path::ErrorKind, rejection::PathRejection};
use http::request::Parts;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use tracing::error;

use super::{
    Code, FieldError, Problem,
    check::{self, Program},
    extract::{BodyError, essence, merge, pointer, refuse_coded, shape_error},
    pairs::{self, PairsError},
};

/// The media type of forms.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// The query string; an invalid parameter is an invalid field: 422. A field that is a list takes every value of its
/// parameter: `?tag=a&tag=b`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + 'static, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read_pairs(parts.uri.query().unwrap_or_default().as_bytes()).map(Self)
    }
}

/// A body of `application/x-www-form-urlencoded`, with lists as in [`Query`]. Named after the body, as
/// [`Form`](super::Form) reads fields by hand.
#[derive(Clone, Copy, Debug, Default)]
pub struct FormBody<T>(pub T);

impl<T: DeserializeOwned + 'static, S: Send + Sync> FromRequest<S> for FormBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if essence(request.headers()) != FORM {
            return Err(Problem::new(Code::UnsupportedMediaType)
                .with_detail("The body must be sent with content-type: application/x-www-form-urlencoded."));
        }
        refuse_coded(request.headers())?;
        let body = request.into_body().collect().await.map_err(|error| BodyError::find(&error))?;
        read_pairs(&body.to_bytes()).map(Self)
    }
}

fn read_pairs<T: DeserializeOwned + 'static>(text: &[u8]) -> Result<T, Problem> {
    let read = pairs::read(text).map_err(|error| Problem::invalid_fields(vec![parameter_error(&error)]));
    match check::of::<T>() {
        None => read,
        Some(program) => merge(by_parameter(program.check_named(form_urlencoded::parse(text))), read),
    }
}

fn by_parameter(errors: Vec<FieldError>) -> Vec<FieldError> {
    errors.into_iter().map(|error| FieldError { field: parameter(&error.field), ..error }).collect()
}

fn parameter_error(error: &PairsError) -> FieldError {
    let FieldError { field, detail, code } = shape_error(&pointer(error.path()), &error.inner().to_string());
    FieldError::new(parameter(&field), code, detail)
}

/// The parameter that a JSON pointer leads to, or into.
fn parameter(pointer: &str) -> String {
    let name = pointer.trim_start_matches('/').split('/').next().unwrap_or_default();
    name.replace("~1", "/").replace("~0", "~")
}

/// The path's parameters; one of another type: 400; one outside its bounds: 422.
#[derive(Clone, Copy, Debug, Default)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send + 'static, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => match check::of::<T>() {
                None => Ok(Self(value)),
                Some(program) => merge(held_path(&program, parts).await, Ok(Self(value))),
            },
            Err(PathRejection::FailedToDeserializePathParams(error)) => Err(path_problem(error.kind())),
            Err(error) => {
                error!(%error, "a handler extracts path parameters that its route lacks");
                Err(Problem::internal())
            }
        }
    }
}

/// The bounds that the path's parameters break.
async fn held_path(program: &Program, parts: &mut Parts) -> Vec<FieldError> {
    let parameters = RawPathParams::from_request_parts(parts, &()).await;
    parameters.map_or_else(|_| Vec::new(), |parameters| by_parameter(program.check_path(parameters.iter())))
}

fn path_problem(kind: &ErrorKind) -> Problem {
    match kind {
        ErrorKind::WrongNumberOfParameters { .. } | ErrorKind::UnsupportedType { .. } => {
            error!(%kind, "a handler extracts path parameters that its route lacks");
            Problem::internal()
        }
        ErrorKind::ParseErrorAtKey { key, .. } | ErrorKind::InvalidUtf8InPathParam { key } => {
            Problem::new(Code::MalformedRequest).with_detail(format!("The path parameter {key} is invalid."))
        }
        _ => Problem::new(Code::MalformedRequest).with_detail("The path parameters are invalid."),
    }
}
