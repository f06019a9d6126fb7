//! A handler's output, described by its result type.
//!
//! Next: [`super::OutputParts`].

use std::{borrow::Cow, convert::Infallible};

use axum::{
    BoxError,
    body::{Body, Bytes},
    response::{
        ErrorResponse, Html, IntoResponse, NoContent, Redirect,
        sse::{Event, Sse},
    },
};
use bytes::BytesMut;
use futures_util::Stream;
use http::{HeaderMap, Response, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;

use super::Operation;
use crate::problem::{Json, Problem};

/// A handler result that describes its responses.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is a handler's result, and does not describe its response",
    label = "this handler returns it",
    note = "an error or a response of your own says it with `impl chassis::openapi::Output for {Self} {{}}`, whose `describe` may add responses and problems",
    note = "`impl IntoResponse` hides its type: name it in the handler's signature, or write `get(opaque(handler))` with `chassis::openapi::opaque`",
    note = "`axum::routing::get` and the others take it too: that route is not described"
)]
pub trait Output: IntoResponse {
    /// Adds the responses; by default one of any status and content.
    fn describe(operation: &mut Operation<'_>) {
        anything(operation);
    }
}

/// A response of any status and content.
fn anything(operation: &mut Operation<'_>) {
    operation.with_any_status(|operation| operation.answers_bytes("*/*"));
}

macro_rules! json {
    ($($type:ty)+) => {$(
        impl<T: Serialize + JsonSchema> Output for $type {
            fn describe(operation: &mut Operation<'_>) {
                operation.answers::<T>("application/json");
            }
        }
    )+};
}

json! { Json<T> axum::Json<T> }

impl<T: Serialize + JsonSchema> Output for axum::Form<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answers::<T>("application/x-www-form-urlencoded");
    }
}

/// Built by hand: its status and content are known only then.
impl<B> Output for Response<B> where Self: IntoResponse {}

/// Its status is known only then.
impl Output for StatusCode {
    fn describe(operation: &mut Operation<'_>) {
        operation.with_any_status(Operation::answers_nothing);
    }
}

impl Output for Redirect {
    fn describe(operation: &mut Operation<'_>) {
        operation.with_redirection(|operation| operation.header("location", "Where to."));
    }
}

impl Output for NoContent {
    fn describe(operation: &mut Operation<'_>) {
        operation.with_status(StatusCode::NO_CONTENT, Operation::answers_nothing);
    }
}

/// It never comes to that.
impl Output for Infallible {
    fn describe(_: &mut Operation<'_>) {}
}

impl Output for HeaderMap {
    fn describe(operation: &mut Operation<'_>) {
        operation.answers_nothing();
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

/// axum's [`axum::response::Result`]: whatever a handler's `?` made of an error.
impl<T: Output> Output for Result<T, ErrorResponse> {
    fn describe(operation: &mut Operation<'_>) {
        T::describe(operation);
        anything(operation);
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
    "text/plain": &'static str, String, Box<str>, Cow<'static, str>;
}

impl<T> Output for Html<T>
where
    Self: IntoResponse,
{
    fn describe(operation: &mut Operation<'_>) {
        operation.answers_text("text/html");
    }
}

macro_rules! bytes {
    ($($media_type:literal: $($type:ty),+;)+) => {$($(
        impl Output for $type {
            fn describe(operation: &mut Operation<'_>) {
                operation.answers_bytes($media_type);
            }
        }
    )+)+};
}

bytes! {
    "application/octet-stream": Bytes, BytesMut, Vec<u8>, Box<[u8]>, &'static [u8], Cow<'static, [u8]>;
    // Without a content type.
    "*/*": Body;
}

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
            fn into_response(self) -> axum::response::Response {
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
    fn into_response(self) -> axum::response::Response {
        (Self::VALID, self.0).into_response()
    }
}

impl<const STATUS: u16, T: Output> Output for Status<STATUS, T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.with_status(Self::VALID, T::describe);
    }
}
