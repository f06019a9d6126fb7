//! One route of a router, or all routes of one of axum's routers, before it serves.
//!
//! Next: [`super::layers`].

use super::mounted::Mounted;
use crate::{
    middleware::{
        dispatch::ByMethod,
        route::{Kind, Marks},
    },
    openapi::{Described, Methods},
};

#[derive(Clone, Debug)]
pub(super) struct Route<S> {
    /// Of a fallback, the prefix.
    pub(super) path: String,
    pub(super) handlers: Handlers<S>,
    pub(super) described: Vec<Described>,
    /// Left out of the description on purpose.
    pub(super) is_left_out: bool,
    /// As in [`Methods`].
    pub(super) answers_others: bool,
    pub(super) kind: Kind,
    pub(super) pool: Option<String>,
    pub(super) marks: Marks,
}

#[derive(Clone, Debug)]
pub(super) enum Handlers<S> {
    /// Of one path. Boxed, as it is five times as large as the other.
    Methods(Box<ByMethod<S>>),
    /// Of all paths of one of axum's routers.
    Mounted(Mounted),
}

impl<S> Handlers<S> {
    fn map<T>(
        self,
        methods: impl FnOnce(ByMethod<S>) -> ByMethod<T>,
        mounted: impl FnOnce(Mounted) -> Mounted,
    ) -> Handlers<T> {
        match self {
            Self::Methods(own) => Handlers::Methods(Box::new(methods(*own))),
            Self::Mounted(whole) => Handlers::Mounted(mounted(whole)),
        }
    }
}

impl<S> Route<S> {
    pub(super) fn new(path: &str, kind: Kind, methods: Methods<S>) -> Self {
        let Methods { handlers, described, marks, is_left_out, answers_others } = methods;
        let (path, handlers) = (path.to_owned(), Handlers::Methods(Box::new(handlers)));
        let mut route = Self { path, handlers, described, is_left_out, answers_others, kind, pool: None, marks };
        route.inherit(&Marks::default());
        route
    }

    pub(super) fn mounted(router: axum::Router) -> Self {
        let marks = Marks { connect_info: true, ..Marks::default() };
        let handlers = Handlers::Mounted(Mounted::new(router));
        let (path, described) = (String::new(), Vec::new());
        let (is_left_out, answers_others) = (true, true);
        Self { path, handlers, described, is_left_out, answers_others, kind: Kind::Io, pool: None, marks }
    }

    /// Whether both would be admitted and bounded alike.
    pub(super) fn is_marked_like(&self, other: &Self) -> bool {
        let of = |route: &Self| (route.kind, route.pool.clone(), route.marks.max_body, route.marks.request_timeout);
        of(self) == of(other) && self.marks.cors().is_some() == other.marks.cors().is_some()
    }

    /// Takes from a group what the route does not have yet.
    pub(super) fn inherit(&mut self, group: &Marks) {
        self.marks.inherit(group);
        self.described.iter_mut().for_each(|described| described.mark(&self.marks));
    }

    pub(super) fn map<T>(
        self,
        methods: impl FnOnce(ByMethod<S>) -> ByMethod<T>,
        mounted: impl FnOnce(Mounted) -> Mounted,
    ) -> Route<T> {
        Route {
            path: self.path,
            handlers: self.handlers.map(methods, mounted),
            described: self.described,
            is_left_out: self.is_left_out,
            answers_others: self.answers_others,
            kind: self.kind,
            pool: self.pool,
            marks: self.marks,
        }
    }

    /// The same below `prefix`.
    pub(super) fn below(self, prefix: &str) -> Self {
        let path = join(prefix, &self.path);
        let nested = self.map(|methods| methods, |mounted| mounted.below(prefix));
        Self { path, ..nested }
    }
}

fn join(prefix: &str, path: &str) -> String {
    match (prefix.trim_end_matches('/'), path) {
        (prefix, "/") if !prefix.is_empty() => prefix.to_owned(),
        (prefix, path) => format!("{prefix}{path}"),
    }
}
