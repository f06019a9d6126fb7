//! What a handler answers, as its result's type says it.
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

/// A handler's result that says what it may be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what it answers",
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

/// Its codes are the handler's to name, with [`super::Methods::problem`]: the type does not tell them.
impl Output for Problem {
    fn describe(_: &mut Operation<'_>) {}
}

impl<T: Output, E: Output> Output for Result<T, E> {
    fn describe(operation: &mut Operation<'_>) {
        T::describe(operation);
        E::describe(operation);
    }
}

/// Headers in front of an answer; those that a client acts on are worth [`Operation::header`] in an own [`Output`].
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

/// A page's script, as a file of its own, so that no policy has to allow what is inline.
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
                    // Asked for anew each time: a page and its script are of one version.
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

/// Nothing but the status.
impl Output for () {
    fn describe(operation: &mut Operation<'_>) {
        operation.answers_nothing();
    }
}

/// An answer with another status than 200, which its type tells: `Status<201, Json<Order>>`, `Status<204, ()>`.
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
