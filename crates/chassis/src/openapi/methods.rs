//! Handlers of one path by method, each with its description.
//!
//! Next: [`super::Input`].

use std::convert::Infallible;

use axum::{
    extract::Request,
    handler::Handler as AxumHandler,
    response::IntoResponse,
    routing::{self, MethodRouter, Route},
};
use http::Method;
use tower_layer::Layer;
use tower_service::Service;

use super::{Input, Operation, Output, Scheme};
use crate::problem::Code;

/// Handlers by method, as axum's [`MethodRouter`], with their descriptions.
#[derive(Clone, Debug)]
#[must_use = "handlers do nothing until they are added to a router"]
pub struct Methods<S = ()> {
    pub(crate) handlers: MethodRouter<S>,
    pub(crate) described: Vec<Described>,
    /// Left out of the description on purpose.
    pub(crate) is_left_out: bool,
}

/// A handler's description; small, since schemas are generated on demand.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    /// In lower case, as a path item has it.
    pub(super) method: &'static str,
    /// A sentence, and perhaps paragraphs below it.
    pub(super) about: &'static str,
    pub(super) problems: Vec<Code>,
    /// The names of the schemes that a request has to satisfy, each with what it is.
    pub(super) security: Vec<(&'static str, Scheme)>,
    pub(super) types: fn(&mut Operation<'_>),
    /// The types of its inputs whose bounds no extractor holds.
    pub(crate) unheld: Vec<&'static str>,
}

impl Described {
    pub(super) fn new(method: &'static str, types: fn(&mut Operation<'_>)) -> Self {
        // Here, not when the document is made: a start must hold the bounds of all routes.
        let unheld = Operation::hold_bounds(types);
        Self { method, about: "", problems: Vec::new(), security: Vec::new(), types, unheld }
    }

    /// Demands one more scheme.
    pub(crate) fn secure(&mut self, name: &'static str, scheme: Scheme) {
        if self.security.iter().all(|(known, _)| *known != name) {
            self.security.push((name, scheme));
        }
    }

    pub(crate) fn method(&self) -> Method {
        self.method.to_ascii_uppercase().parse().expect("one of the verbs")
    }
}

/// An async function whose parameters and result describe themselves. It is implemented for all of them.
#[diagnostic::on_unimplemented(
    message = "a parameter or the result of this handler does not describe itself",
    note = "take `Json`, `Query` and `Path` of `chassis::problem` with types that derive `JsonSchema`, and return `Json`, text or a `Result` of one and `Problem`; \
            or implement `chassis::openapi::Input` or `Output`"
)]
pub trait Handler<I, O> {
    /// Describes its input and output.
    fn describe(operation: &mut Operation<'_>);
}

macro_rules! handlers {
    ($(($($input:ident)*))+) => {$(
        impl<F, Answer, O, $($input),*> Handler<($($input,)*), O> for F
        where
            F: FnOnce($($input),*) -> Answer,
            Answer: Future<Output = O>,
            O: Output,
            $($input: Input,)*
        {
            fn describe(operation: &mut Operation<'_>) {
                $($input::describe(operation);)*
                O::describe(operation);
            }
        }
    )+};
}

handlers! { () (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E G) (A B C D E G H) (A B C D E G H J) }

macro_rules! verbs {
    ($($verb:ident $name:literal)+) => {
        $(
            #[doc = concat!("Answers `", $name, "` with `handler`.")]
            pub fn $verb<H, T, I, O, S>(handler: H) -> Methods<S>
            where
                H: AxumHandler<T, S> + Handler<I, O>,
                T: 'static,
                S: Clone + Send + Sync + 'static,
            {
                let described = Described::new(stringify!($verb), H::describe);
                Methods { described: vec![described], ..routing::$verb(handler).into() }
            }
        )+

        impl<S: Clone + Send + Sync + 'static> Methods<S> {
            $(
                #[doc = concat!("Answers `", $name, "` as well.")]
                pub fn $verb<H, T, I, O>(mut self, handler: H) -> Self
                where
                    H: AxumHandler<T, S> + Handler<I, O>,
                    T: 'static,
                {
                    self.described.push(Described::new(stringify!($verb), H::describe));
                    Self { handlers: self.handlers.$verb(handler), ..self }
                }
            )+
        }
    };
}

verbs! { get "GET" post "POST" put "PUT" patch "PATCH" delete "DELETE" }

impl<S: Clone + Send + Sync + 'static> Methods<S> {
    /// Describes the method added last in one sentence; the text after an empty line is its long description,
    /// in Markdown.
    pub fn about(mut self, text: &'static str) -> Self {
        self.last().about = text;
        self
    }

    /// Declares a problem that the handler of the method added last returns itself. Those of its parameters'
    /// types and of the middleware are added automatically.
    pub fn problem(mut self, code: Code) -> Self {
        self.last().problems.push(code);
        self
    }

    fn last(&mut self) -> &mut Described {
        self.described.last_mut().expect("`Methods` begin with a method")
    }

    /// Says that all methods so far need `scheme`, `name` in the description, with the problems 401 and 403. Two of them
    /// mean both. It checks nothing: that is for a layer, or an extractor.
    pub fn secured(mut self, name: &'static str, scheme: Scheme) -> Self {
        self.described.iter_mut().for_each(|described| described.secure(name, scheme));
        self
    }

    /// Leaves these methods out of the description on purpose, and no test asks for them: pages and their files.
    pub fn undescribed(self) -> Self {
        Self { is_left_out: true, ..self }
    }

    /// Gives the handlers their state.
    pub fn with_state<T>(self, state: S) -> Methods<T> {
        let handlers = self.handlers.with_state(state);
        Methods { handlers, described: self.described, is_left_out: self.is_left_out }
    }

    /// Wraps the handlers in a layer of tower's, as axum does.
    pub fn layer<L>(self, layer: L) -> Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        Self { handlers: self.handlers.layer(layer), ..self }
    }
}

/// Handlers without a description.
impl<S> From<MethodRouter<S>> for Methods<S> {
    fn from(handlers: MethodRouter<S>) -> Self {
        Self { handlers, described: Vec::new(), is_left_out: false }
    }
}
