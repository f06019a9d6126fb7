//! Whether an app answers `OPTIONS /` itself. Where it does not, the request is a health check: `HAProxy`'s default one.
//!
//! axum tells the methods of a route in what it prints for debugging, and nowhere else. That is no promise of axum's: what
//! cannot be read is the app's own. A test holds it for the version in use.
//!
//! Next: [`super::build`].

use axum::routing::MethodRouter;

/// Whether `methods` have a handler of OPTIONS, or one of all methods.
pub(super) fn has_handler(methods: &MethodRouter) -> bool {
    !is_refused(&format!("{methods:?}"))
}

/// The same of `path` in a router of axum's, as it prints itself.
pub(super) fn is_handled_in(router: &str, path: &str) -> bool {
    let refused = || {
        let (_, paths) = router.split_once("node: Node { paths: {")?;
        let (before, _) = paths.split_once(&format!(": {path:?}"))?;
        let id = &before[before.rfind("RouteId(")?..];
        let (_, printed) = router.split_once(&format!("{id}: MethodRouter("))?;
        Some(is_refused(printed.split("RouteId(").next()?))
    };
    !refused().unwrap_or(false)
}

fn is_refused(methods: &str) -> bool {
    methods.contains("options: None") && methods.contains("fallback: Default(")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::routing::{any, any_service, get, options};
    use tower_http::compression::CompressionLayer;

    use super::*;

    async fn answer() -> &'static str {
        "answer"
    }

    #[test]
    fn a_handler_of_options_is_found_in_what_axum_prints() {
        let layered = |methods: MethodRouter| methods.layer::<_, Infallible>(CompressionLayer::new());
        for (methods, expected) in [
            (get(answer), false),
            (get(answer).post(answer), false),
            (options(answer), true),
            (get(answer).options(answer), true),
            (any(answer), true),
            (get(answer).fallback(answer), true),
            (any_service(get(answer)), true),
        ] {
            for methods in [methods.clone(), layered(methods)] {
                assert_eq!(has_handler(&methods), expected, "{methods:?}");
                let router = axum::Router::new().route("/a", get(answer)).route("/", methods).route("/b", any(answer));
                let router = router.with_state::<()>(());
                assert_eq!(is_handled_in(&format!("{router:?}"), "/"), expected, "{router:?}");
            }
        }
        assert!(is_handled_in("a text", "/"), "unknown is the app's own");
    }
}
