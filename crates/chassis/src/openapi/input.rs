//! A handler's input, described by its parameter types.
//!
//! Next: [`super::Output`].

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{MatchedPath, RawQuery, Request, State},
};
use http::{HeaderMap, Method, Uri};
use schemars::JsonSchema;

use super::Operation;
use crate::problem::{Code, FORM, FormBody, Json, Path, Query};

/// A handler parameter that describes what a client must send.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not describe what a client must send",
    note = "take `Json`, `Query` or `Path` of `chassis::problem`, or implement `chassis::openapi::Input` for `{Self}`"
)]
pub trait Input {
    /// Adds parameters, the body, and the problems of reading them.
    fn describe(operation: &mut Operation<'_>);
}

impl<T: JsonSchema + 'static> Input for Json<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.hold::<T>();
        operation.body::<T>("application/json");
        operation.problem(Code::MalformedRequest);
        operation.problem(Code::UnsupportedMediaType);
        operation.problem(Code::InvalidFields);
    }
}

impl<T: JsonSchema + 'static> Input for FormBody<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.hold::<T>();
        operation.body::<T>(FORM);
        operation.problem(Code::MalformedRequest);
        operation.problem(Code::UnsupportedMediaType);
        operation.problem(Code::InvalidFields);
    }
}

impl<T: JsonSchema + 'static> Input for Query<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.hold::<T>();
        operation.query::<T>();
        operation.problem(Code::MalformedRequest);
        operation.problem(Code::InvalidFields);
    }
}

impl<T: JsonSchema + 'static> Input for Path<T> {
    fn describe(operation: &mut Operation<'_>) {
        if operation.hold::<T>() {
            operation.problem(Code::InvalidFields);
        }
        operation.path::<T>();
        operation.problem(Code::MalformedRequest);
    }
}

/// Any bytes.
macro_rules! bodies {
    ($($type:ty)+) => {$(
        impl Input for $type {
            fn describe(operation: &mut Operation<'_>) {
                operation.raw_body("application/octet-stream");
            }
        }
    )+};
}

bodies! { Bytes Body }

impl Input for String {
    fn describe(operation: &mut Operation<'_>) {
        operation.raw_body("text/plain");
    }
}

/// Parameters that are invisible to the client.
macro_rules! unseen {
    ($($type:ty)+) => {$(
        impl Input for $type {
            fn describe(_: &mut Operation<'_>) {}
        }
    )+};
}

unseen! { HeaderMap Method Uri MatchedPath RawQuery Request }

impl<S> Input for State<S> {
    fn describe(_: &mut Operation<'_>) {}
}

impl<T> Input for Extension<T> {
    fn describe(_: &mut Operation<'_>) {}
}
