//! Results of several parts, as axum has them: a status, headers, and a body.
//!
//! Next: [`mod@super::document`].

use axum::{
    Extension,
    response::{AppendHeaders, IntoResponse},
};
use http::{Extensions, HeaderMap, StatusCode};

use super::{Operation, Output};

/// A part of a result before its body, which may set headers. `impl OutputParts for …` for a part of your own; one whose
/// headers a client needs describes them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is a part of a handler's result, and does not describe what it adds to the response",
    note = "`impl chassis::openapi::OutputParts for {Self} {{}}` says that a client need not know"
)]
pub trait OutputParts {
    /// Adds its headers to the response, with [`Operation::header`]; by default none.
    fn describe(operation: &mut Operation<'_>) {
        let _ = operation;
    }
}

/// Headers whose names are values: no type tells them.
impl OutputParts for HeaderMap {}
impl OutputParts for Extensions {}
impl<K, V, const N: usize> OutputParts for [(K, V); N] {}
impl<T> OutputParts for AppendHeaders<T> {}
impl<T> OutputParts for Extension<T> {}

#[cfg(feature = "axum-extra")]
impl OutputParts for axum_extra::extract::CookieJar {
    fn describe(operation: &mut Operation<'_>) {
        operation.header("set-cookie", "Cookies that the handler adds or removes.");
    }
}

#[cfg(feature = "axum-extra")]
impl<H: axum_extra::headers::Header> OutputParts for axum_extra::TypedHeader<H> {
    fn describe(operation: &mut Operation<'_>) {
        operation.header(H::name().as_str(), "Set by the handler.");
    }
}

macro_rules! results {
    ($(($($part:ident)*))+) => {$(
        impl<T: Output, $($part: OutputParts),*> Output for ($($part,)* T,)
        where
            Self: IntoResponse,
        {
            fn describe(operation: &mut Operation<'_>) {
                operation.with_headers(T::describe, |_operation| {
                    $($part::describe(_operation);)*
                });
            }
        }

        /// No type tells the status.
        impl<T: Output, $($part: OutputParts),*> Output for (StatusCode, $($part,)* T)
        where
            Self: IntoResponse,
        {
            fn describe(operation: &mut Operation<'_>) {
                let headers = |_operation: &mut Operation<'_>| {
                    $($part::describe(_operation);)*
                };
                operation.with_any_status(|operation| operation.with_headers(T::describe, headers));
            }
        }
    )+};
}

results! { () (A) (A B) (A B C) (A B C D) }
