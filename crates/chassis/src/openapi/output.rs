//! A handler's output, described by its result type.
//!
//! Next: [`mod@super::document`].

use axum::{
    BoxError,
    body::Bytes,
    response::{
        Html, IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use futures_util::Stream;
use http::{HeaderName, HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;

use super::Operation;
use crate::problem::{Json, Problem};

/// A handler result that describes its responses.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not describe its response",
    note = "return `Json` of `chassis::problem`, text, `Html`, `Status<201, _>` or a `Result` of one and `Problem`, or implement `chassis::openapi::Output` for `{Self}`"
)]
pub trait Output: IntoResponse {
    /// Adds the responses.
    fn describe(operation: &mut Operation<'_>);
}

impl<T: Serialize + JsonSchema> Output for Json<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answers::<T>("application/json");
    }
}

/// The type does not contain the codes: the handler declares them with [`super::Methods::problem`].
impl Output for Problem {
    fn describe(_: &mut Operation<'_>) {}
}

impl<T: Output, E: Output> Output for Result<T, E> {
    fn describe(operation: &mut Operation<'_>) {
        T::describe(operation);
        E::describe(operation);
    }
}

/// Headers with a response; describe those that a client needs with [`Operation::header`] in an own [`Output`].
impl<T: Output, V, const N: usize> Output for ([(HeaderName, V); N], T)
where
    V: TryInto<HeaderValue>,
    V::Error: std::fmt::Display,
{
    fn describe(operation: &mut Operation<'_>) {
        T::describe(operation);
    }
}

macro_rules! texts {
    ($($media_type:literal: $($type:ty),+;)+) => {$($(
        impl Output for $type {
            fn describe(operation: &mut Operation<'_>) {
                operation.answers_text($media_type);
            }
        }
    )+)+};
}

texts! {
    "text/plain": &'static str, String;
    "text/html": Html<&'static str>, Html<String>;
}

/// Any bytes.
macro_rules! bytes {
    ($($type:ty)+) => {$(
        impl Output for $type {
            fn describe(operation: &mut Operation<'_>) {
                operation.answers_bytes("application/octet-stream");
            }
        }
    )+};
}

bytes! { Bytes Vec<u8> }

/// Events, as text.
impl<S, E> Output for Sse<S>
where
    S: Stream<Item = Result<Event, E>> + Send + 'static,
    E: Into<BoxError>,
{
    fn describe(operation: &mut Operation<'_>) {
        operation.answers_text("text/event-stream");
    }
}

/// A page's script as a separate file, so that the content security policy need not allow inline scripts.
#[derive(Clone, Copy, Debug)]
pub struct Script(pub &'static str);

/// A page's style, likewise.
#[derive(Clone, Copy, Debug)]
pub struct Style(pub &'static str);

macro_rules! files {
    ($($type:ident $media_type:literal)+) => {$(
        impl IntoResponse for $type {
            fn into_response(self) -> Response {
                let headers = [
                    (header::CONTENT_TYPE, $media_type),
                    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                    // Not cached: a page and its script must have the same version.
                    (header::CACHE_CONTROL, "no-cache"),
                ];
                (headers, self.0).into_response()
            }
        }

        impl Output for $type {
            fn describe(operation: &mut Operation<'_>) {
                operation.answers_text($media_type);
            }
        }
    )+};
}

files! { Script "text/javascript" Style "text/css" }

/// Only the status.
impl Output for () {
    fn describe(operation: &mut Operation<'_>) {
        operation.answers_nothing();
    }
}

/// A response with a status other than 200, given by its type: `Status<201, Json<Order>>`, `Status<204, ()>`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Status<const STATUS: u16, T>(pub T);

impl<const STATUS: u16, T> Status<STATUS, T> {
    const VALID: StatusCode = match StatusCode::from_u16(STATUS) {
        Ok(status) => status,
        Err(_) => panic!("a status is 100 to 999"),
    };
}

impl<const STATUS: u16, T: IntoResponse> IntoResponse for Status<STATUS, T> {
    fn into_response(self) -> Response {
        (Self::VALID, self.0).into_response()
    }
}

impl<const STATUS: u16, T: Output> Output for Status<STATUS, T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.with_status(Self::VALID, T::describe);
    }
}
