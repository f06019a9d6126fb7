//! Handlers of one path by method, each with its description.
//!
//! Next: [`super::Handler`].

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::Request,
    handler::Handler as AxumHandler,
    response::IntoResponse,
    routing::{self, MethodRouter, Route},
};
use http::Method;
use tower_http::cors::CorsLayer;
use tower_layer::Layer;
use tower_service::Service;

use super::{Handler, Inputs, Operation, Output, Scheme, security::Requirement};
use crate::{
    middleware::{decompression::decompressed, dispatch::ByMethod, route::Marks},
    problem::Code,
    values::Size,
};

/// Handlers by method, as axum's [`MethodRouter`], with their descriptions.
#[derive(Clone, Debug)]
#[must_use = "handlers do nothing until they are added to a router"]
pub struct Methods<S = ()> {
    pub(crate) handlers: ByMethod<S>,
    pub(crate) described: Vec<Described>,
    pub(crate) marks: Marks,
    /// Left out of the description on purpose.
    pub(crate) is_left_out: bool,
    /// It may answer methods that it does not name, by axum's `any` or a fallback.
    pub(crate) answers_others: bool,
}

/// A handler's description; small, since schemas are generated on demand.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    /// In lower case, as a path item has it.
    pub(super) method: &'static str,
    /// A sentence, and perhaps paragraphs below it.
    pub(super) about: &'static str,
    pub(super) problems: Vec<Code>,
    /// The route's own limit of the body.
    pub(super) max_body: Option<Size>,
    /// Whether the body may be compressed.
    pub(super) is_decompressed: bool,
    /// What a request has to satisfy: of each group one.
    pub(super) security: Vec<Vec<Requirement>>,
    pub(super) types: fn(&mut Operation<'_>),
    /// The types of its inputs whose bounds no extractor holds.
    pub(crate) unheld: Vec<&'static str>,
}

impl Described {
    pub(super) fn new(method: &'static str, types: fn(&mut Operation<'_>)) -> Self {
        // Here, not when the document is made: a start must hold the bounds of all routes.
        let unheld = Operation::hold_bounds(types);
        let (about, problems, security) = ("", Vec::new(), Vec::new());
        Self { method, about, problems, max_body: None, is_decompressed: false, security, types, unheld }
    }

    /// Says in the description what the route allows.
    pub(crate) fn mark(&mut self, marks: &Marks) {
        self.max_body = marks.max_body;
    }

    /// Demands one more scheme.
    pub(crate) fn secure(&mut self, name: &'static str, scheme: Scheme) {
        self.secure_by_any(vec![Requirement { name, scheme, scopes: Vec::new() }]);
    }

    /// Demands one of these, too.
    fn secure_by_any(&mut self, group: Vec<Requirement>) {
        if !self.security.contains(&group) {
            self.security.push(group);
        }
    }

    /// The same, checked by a guard, which refuses what it cannot read.
    #[cfg(feature = "identity")]
    pub(crate) fn guard(&mut self, group: &[Requirement]) {
        self.secure_by_any(group.to_vec());
        self.problems.push(Code::MalformedRequest);
    }

    pub(crate) fn method(&self) -> Method {
        self.method.to_ascii_uppercase().parse().expect("one of the verbs")
    }
}

/// What a handler's types say. Constant by verb, so that a description stays a plain function.
fn describe<const IS_GET: bool, I: Inputs, O: Output>(operation: &mut Operation<'_>) {
    if IS_GET {
        operation.reads_forms_from_query();
    }
    I::describe(operation);
    O::describe(operation);
}

const fn is_get(verb: &str) -> bool {
    matches!(verb.as_bytes(), b"get")
}

/// `handlers` with `handler`, if it can be called without axum's router.
fn direct<H, T, I, S>(handlers: ByMethod<S>, method: Method, handler: H) -> ByMethod<S>
where
    H: AxumHandler<T, S>,
    T: 'static,
    I: Inputs,
    S: Clone + Send + Sync + 'static,
{
    if I::ROUTED { handlers } else { handlers.with_direct(method, handler) }
}

macro_rules! verbs {
    ($($verb:ident $name:literal)+) => {
        $(
            #[doc = concat!("Answers `", $name, "` with `handler`.")]
            pub fn $verb<H, T, I, S>(handler: H) -> Methods<S>
            where
                H: AxumHandler<T, S> + Handler<I>,
                T: 'static,
                I: Inputs,
                H::Output: Output,
                S: Clone + Send + Sync + 'static,
            {
                let described = Described::new(stringify!($verb), describe::<{ is_get(stringify!($verb)) }, I, H::Output>);
                let marks = Marks { connect_info: I::CONNECT_INFO, ..Marks::default() };
                let handlers = ByMethod::from(routing::$verb(handler.clone()));
                let handlers = direct::<H, T, I, S>(handlers, described.method(), handler);
                Methods { handlers, described: vec![described], marks, is_left_out: false, answers_others: false }
            }
        )+

        impl<S: Clone + Send + Sync + 'static> Methods<S> {
            $(
                #[doc = concat!("Answers `", $name, "` as well.")]
                pub fn $verb<H, T, I>(mut self, handler: H) -> Self
                where
                    H: AxumHandler<T, S> + Handler<I>,
                    T: 'static,
                    I: Inputs,
                    H::Output: Output,
                {
                    let described = Described::new(stringify!($verb), describe::<{ is_get(stringify!($verb)) }, I, H::Output>);
                    self.handlers.routed = self.handlers.routed.$verb(handler.clone());
                    self.handlers = direct::<H, T, I, S>(self.handlers, described.method(), handler);
                    self.described.push(described);
                    self.marks.connect_info |= I::CONNECT_INFO;
                    self
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

    /// The largest request body of this route, instead of `server.max_body`: smaller or larger. A larger one gets 413.
    pub fn max_body(mut self, limit: Size) -> Self {
        self.marks.max_body = Some(limit);
        self
    }

    /// Decompresses request bodies with `Content-Encoding: gzip` for the methods so far. The limit of the body holds for
    /// what comes out: beyond it is a 413. Another coding is 415 with `Accept-Encoding: gzip` (RFC 7694).
    pub fn decompress(mut self) -> Self {
        self.described.iter_mut().for_each(|described| described.is_decompressed = true);
        Self { handlers: self.handlers.layered(decompressed), ..self }
    }

    /// The time until the response's head, instead of `server.request_timeout`: shorter or longer. Later it is a 504. A
    /// caller's deadline and the drain still bound it.
    ///
    /// # Panics
    /// On a time of zero.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.marks = self.marks.with_request_timeout(timeout);
        self
    }

    /// Lets pages of other origins call this route. Unlike a layer around the handlers, it is around the middleware too:
    /// a page can read its 413, 503 and 504. A preflight (`OPTIONS`) is answered before the handlers and their layers.
    /// `None` takes the route out of its group's rules.
    ///
    /// # Panics
    /// The start panics on rules that browsers refuse, such as any origin with credentials.
    pub fn cors(mut self, layer: impl Into<Option<CorsLayer>>) -> Self {
        self.marks = self.marks.with_cors(layer.into());
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

    /// The same for one of several schemes, which a guard checks.
    #[cfg(feature = "identity")]
    pub(crate) fn secured_by_any(mut self, group: &[Requirement]) -> Self {
        self.described.iter_mut().for_each(|described| described.guard(group));
        self
    }

    /// Leaves these methods out of the description on purpose, and no test asks for them: pages and their files.
    pub fn undescribed(self) -> Self {
        Self { is_left_out: true, ..self }
    }

    /// Gives the handlers their state.
    pub fn with_state<T>(self, state: S) -> Methods<T> {
        Methods {
            handlers: self.handlers.with_state(state),
            described: self.described,
            marks: self.marks,
            is_left_out: self.is_left_out,
            answers_others: self.answers_others,
        }
    }

    /// Wraps the handlers in a layer of tower's, as axum does: also what answers other methods.
    pub fn layer<L>(self, layer: L) -> Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        self.layered(|handlers| handlers.layer(layer))
    }

    /// Wraps the handlers in a layer of tower's: another method stays a 405. Around axum's own method router it is as
    /// [`layer`](Self::layer), since that may have a handler for all other methods, which must not be left outside.
    pub fn route_layer<L>(self, layer: L) -> Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        let answers_others = self.answers_others;
        self.layered(|handlers| if answers_others { handlers.layer(layer) } else { handlers.route_layer(layer) })
    }

    /// A layer may read what no handler asks for.
    fn layered(mut self, layer: impl FnOnce(MethodRouter<S>) -> MethodRouter<S>) -> Self {
        self.marks.connect_info = true;
        Self { handlers: self.handlers.layered(layer), ..self }
    }
}

/// Handlers without a description.
impl<S> From<MethodRouter<S>> for Methods<S> {
    fn from(handlers: MethodRouter<S>) -> Self {
        let marks = Marks { connect_info: true, ..Marks::default() };
        Self { handlers: handlers.into(), described: Vec::new(), marks, is_left_out: false, answers_others: true }
    }
}
