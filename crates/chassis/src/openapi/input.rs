//! A handler's input, described by its parameter types: axum's extractors, and ours.
//!
//! Next: [`super::Output`].

use axum::{
    Extension, Form,
    body::{Body, Bytes},
    extract::{
        self, ConnectInfo, MatchedPath, NestedPath, RawForm, RawPathParams, RawQuery, Request, State,
        rejection::{
            BytesRejection, ExtensionRejection, FormRejection, JsonRejection, MatchedPathRejection, PathRejection,
            QueryRejection, StringRejection,
        },
    },
};
use http::{HeaderMap, Method, Uri, Version, request::Parts};
use schemars::JsonSchema;

use super::{Operation, Output};
use crate::{
    peer::{ClientCertificate, ConnectionInfo},
    problem::{Code, FORM, FormBody, Json, Path, Query},
};

/// A handler parameter that describes what a client must send.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is a handler's parameter, and does not describe what a client must send",
    label = "this handler takes it",
    note = "an extractor of your own says it with `impl chassis::openapi::Input for {Self} {{}}`, whose `describe` may add parameters and problems",
    note = "one of axum's may need a feature of chassis: `axum-extra`, `multipart`, `original-uri`, `ws`",
    note = "`axum::routing::get` and the others take it too: that route is not described"
)]
pub trait Input {
    /// Whether it may read [`ConnectionInfo`] or axum's [`ConnectInfo`] from a request's extensions, where they are only if
    /// somebody may: noting them costs each request some 1,000 instructions.
    const CONNECT_INFO: bool = true;

    /// Whether it may read what axum's router notes in a request, as [`MatchedPath`] and axum's `Path` do. A handler
    /// without such a parameter is called without that router: it costs each request some 2,800 instructions.
    const ROUTED: bool = true;

    /// Adds parameters, the body, and the problems of reading them; by default none.
    fn describe(operation: &mut Operation<'_>) {
        let _ = operation;
    }
}

/// What is read from a schema: the same in axum's extractors and ours, apart from the problems.
macro_rules! described {
    (ROUTED = $routed:literal; $($type:ty: |$operation:ident| $what:expr, $($code:ident)*;)+) => {$(
        impl<T: JsonSchema + 'static> Input for $type {
            const CONNECT_INFO: bool = false;
            const ROUTED: bool = $routed;

            fn describe($operation: &mut Operation<'_>) {
                $what;
                $($operation.problem(Code::$code);)*
            }
        }
    )+};
}

described! {
    ROUTED = false;
    Json<T>: |operation| {
        operation.hold::<T>();
        operation.body::<T>("application/json");
    }, MalformedRequest UnsupportedMediaType InvalidFields;
    extract::Json<T>: |operation| operation.body::<T>("application/json"),
        MalformedRequest UnsupportedMediaType InvalidFields;
    FormBody<T>: |operation| {
        operation.hold::<T>();
        operation.body::<T>(FORM);
    }, MalformedRequest UnsupportedMediaType InvalidFields;
    Query<T>: |operation| {
        operation.hold::<T>();
        operation.query::<T>();
    }, MalformedRequest InvalidFields;
    extract::Query<T>: |operation| operation.query::<T>(), MalformedRequest;
    Form<T>: |operation| operation.form::<T>(), MalformedRequest;
}

described! {
    ROUTED = true;
    Path<T>: |operation| {
        if operation.hold::<T>() {
            operation.problem(Code::InvalidFields);
        }
        operation.path::<T>();
    }, MalformedRequest;
    extract::Path<T>: |operation| operation.path::<T>(), MalformedRequest;
}

/// Bodies without a schema.
macro_rules! bodies {
    ($($media_type:literal: $($type:ty),+;)+) => {$($(
        impl Input for $type {
            const CONNECT_INFO: bool = false;
            const ROUTED: bool = false;

            fn describe(operation: &mut Operation<'_>) {
                operation.raw_body($media_type);
            }
        }
    )+)+};
}

bodies! {
    "application/octet-stream": Bytes, Body;
    "application/x-www-form-urlencoded": RawForm;
}

impl Input for String {
    const CONNECT_INFO: bool = false;
    const ROUTED: bool = false;

    fn describe(operation: &mut Operation<'_>) {
        operation.raw_body("text/plain");
        // Not UTF-8.
        operation.problem(Code::MalformedRequest);
    }
}

/// Its fields are read one by one, so they have no schema.
#[cfg(feature = "multipart")]
impl Input for extract::Multipart {
    const CONNECT_INFO: bool = false;
    const ROUTED: bool = false;

    fn describe(operation: &mut Operation<'_>) {
        operation.object_body("multipart/form-data");
        operation.problem(Code::MalformedRequest);
    }
}

/// 101, and what is no WebSocket handshake.
#[cfg(feature = "ws")]
impl Input for extract::WebSocketUpgrade {
    const CONNECT_INFO: bool = false;
    const ROUTED: bool = false;

    fn describe(operation: &mut Operation<'_>) {
        operation.with_status(http::StatusCode::SWITCHING_PROTOCOLS, Operation::answers_nothing);
        operation.problem(Code::MalformedRequest);
        operation.problem(Code::MethodNotAllowed);
        operation.custom_problem(http::StatusCode::UPGRADE_REQUIRED, "upgrade_required");
    }
}

#[cfg(feature = "axum-extra")]
impl<H: axum_extra::headers::Header> Input for axum_extra::TypedHeader<H> {
    const CONNECT_INFO: bool = false;
    const ROUTED: bool = false;

    fn describe(operation: &mut Operation<'_>) {
        operation.parameter("header", H::name().as_str(), serde_json::json!({ "type": "string" }), true);
        operation.problem(Code::MalformedRequest);
    }
}

/// Parameters that are invisible to the client.
macro_rules! unseen {
    ($($type:ty)+) => {$(
        impl Input for $type {
            const CONNECT_INFO: bool = false;
            const ROUTED: bool = false;
        }
    )+};
}

unseen! { HeaderMap Method Uri Version RawQuery }

/// The same, from what axum's router notes.
macro_rules! noted {
    ($($type:ty)+) => {$(
        impl Input for $type {
            const CONNECT_INFO: bool = false;
        }
    )+};
}

noted! { MatchedPath NestedPath RawPathParams }

#[cfg(feature = "original-uri")]
unseen! { extract::OriginalUri }

#[cfg(feature = "axum-extra")]
unseen! { axum_extra::extract::CookieJar }

// Whoever has the whole request may look for anything in it.
impl Input for Request {}
impl Input for Parts {}

impl Input for ConnectionInfo {
    const ROUTED: bool = false;
}

impl Input for ClientCertificate {
    const ROUTED: bool = false;

    fn describe(operation: &mut Operation<'_>) {
        operation.problem(Code::MalformedRequest);
        operation.problem(Code::Forbidden);
    }
}

impl<T> Input for ConnectInfo<T> {
    const ROUTED: bool = false;
}

impl<S> Input for State<S> {
    const CONNECT_INFO: bool = false;
    const ROUTED: bool = false;
}

// It may be any of those that the engine or axum's router adds.
impl<T> Input for Extension<T> {}

/// What may be absent.
impl<T: Input> Input for Option<T> {
    const CONNECT_INFO: bool = T::CONNECT_INFO;
    const ROUTED: bool = T::ROUTED;

    fn describe(operation: &mut Operation<'_>) {
        operation.optional(T::describe);
    }
}

/// What the handler judges itself: its problems are the handler's.
impl<T: Input, E> Input for Result<T, E> {
    const CONNECT_INFO: bool = T::CONNECT_INFO;
    const ROUTED: bool = T::ROUTED;

    fn describe(operation: &mut Operation<'_>) {
        operation.without_problems(T::describe);
    }
}

/// A handler may return what it got instead of its parameter.
macro_rules! rejections {
    ($($type:ty: $($code:ident)*;)+) => {$(
        impl Output for $type {
            fn describe(operation: &mut Operation<'_>) {
                $(operation.problem(Code::$code);)*
            }
        }
    )+};
}

rejections! {
    JsonRejection: MalformedRequest BodyTooLarge UnsupportedMediaType InvalidFields;
    FormRejection: MalformedRequest BodyTooLarge UnsupportedMediaType InvalidFields;
    QueryRejection: MalformedRequest;
    PathRejection: MalformedRequest;
    BytesRejection: MalformedRequest BodyTooLarge;
    StringRejection: MalformedRequest BodyTooLarge;
    ExtensionRejection: InternalError;
    MatchedPathRejection: InternalError;
}

#[cfg(feature = "multipart")]
rejections! {
    extract::multipart::MultipartRejection: MalformedRequest;
    extract::multipart::MultipartError: MalformedRequest BodyTooLarge;
}

#[cfg(feature = "axum-extra")]
rejections! { axum_extra::typed_header::TypedHeaderRejection: MalformedRequest; }
