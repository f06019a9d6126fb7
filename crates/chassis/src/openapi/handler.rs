//! What [`super::get`] and the others take: axum's handlers, each with the types of its parameters and its result.
//!
//! The bounds stand apart, so that an error names the type at fault: a handler has parameters and a result
//! ([`Handler`]), each parameter is an [`Input`], and the result is an [`Output`]. A single trait for all of it would
//! only say that the handler does not fit.
//!
//! Next: [`super::Input`].

use axum::{
    extract::Request,
    handler::Handler as AxumHandler,
    response::{IntoResponse, Response},
};

use super::{Input, Operation, Output};

/// An async function of up to 16 parameters: `I` is the tuple of their types.
pub trait Handler<I> {
    /// The type of its result.
    type Output;
}

/// The parameters of a handler: a tuple of [`Input`]s.
pub trait Inputs {
    /// Whether one of them may read axum's `ConnectInfo`.
    const CONNECT_INFO: bool;

    /// Whether one of them may read what axum's router notes.
    const ROUTED: bool;

    /// Describes all of them.
    fn describe(operation: &mut Operation<'_>);
}

macro_rules! handlers {
    ($(($($input:ident)*))+) => {$(
        impl<F, Answer, $($input),*> Handler<($($input,)*)> for F
        where
            F: FnOnce($($input),*) -> Answer,
            Answer: Future,
        {
            type Output = Answer::Output;
        }

        impl<$($input: Input),*> Inputs for ($($input,)*) {
            const CONNECT_INFO: bool = false $(|| $input::CONNECT_INFO)*;
            const ROUTED: bool = false $(|| $input::ROUTED)*;

            fn describe(_operation: &mut Operation<'_>) {
                $($input::describe(_operation);)*
            }
        }
    )+};
}

handlers! {
    ()
    (A)
    (A B)
    (A B C)
    (A B C D)
    (A B C D E)
    (A B C D E F1)
    (A B C D E F1 G)
    (A B C D E F1 G H)
    (A B C D E F1 G H J)
    (A B C D E F1 G H J K)
    (A B C D E F1 G H J K L)
    (A B C D E F1 G H J K L M)
    (A B C D E F1 G H J K L M N)
    (A B C D E F1 G H J K L M N P)
    (A B C D E F1 G H J K L M N P Q)
    (A B C D E F1 G H J K L M N P Q R)
}

/// A handler whose result has no name, as `impl IntoResponse` hides it: its parameters are described, and its response
/// may be anything. Rust lets no function tell such a result from one that describes itself, so it is said here.
pub fn opaque<H>(handler: H) -> Opaque<H> {
    Opaque(handler)
}

/// See [`opaque`].
#[derive(Clone, Copy, Debug)]
pub struct Opaque<H>(H);

impl<H: Handler<I>, I> Handler<I> for Opaque<H> {
    type Output = Anything;
}

impl<H: AxumHandler<T, S>, T, S> AxumHandler<T, S> for Opaque<H> {
    type Future = H::Future;

    fn call(self, request: Request, state: S) -> H::Future {
        self.0.call(request, state)
    }
}

/// The result of an [`Opaque`] handler, for the description alone: there is none.
#[derive(Clone, Copy, Debug)]
pub enum Anything {}

impl IntoResponse for Anything {
    fn into_response(self) -> Response {
        match self {}
    }
}

impl Output for Anything {}
