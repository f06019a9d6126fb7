use super::{
    build::{apart, not_found, refuse_unlike},
    mounted::Mounted,
    *,
};
use crate::values::Size;
use axum::routing::get;
use http_body_util::BodyExt;
use tower::ServiceExt;

#[test]
fn nested_routes_are_named_in_full() {
    let inner = Router::<()>::new().route("/", get(not_found)).route("/{id}", get(not_found));
    let router = Router::new().route("/", get(not_found)).nest("/v1/things", inner);
    assert_eq!(router.paths().collect::<Vec<_>>(), ["/", "/v1/things", "/v1/things/{id}"]);
}

#[tokio::test]
async fn a_fallback_answers_what_no_route_matches() {
    let inner = Router::<()>::new().named_fallback("inner", get(async || "inner"));
    let router = Router::new().route("/", get(async || "route")).nest("/v1", inner);
    let router = router.named_fallback("other", get(async || "fallback"));
    assert_eq!(router.paths().collect::<Vec<_>>(), ["/"], "it is no route");
    assert_eq!(router.undescribed().count(), 1);
    let router = router.into_axum();
    for (path, expected) in [("/", "route"), ("/other", "fallback"), ("/v1/other", "inner")] {
        let request = axum::extract::Request::get(path).body(axum::body::Body::empty()).expect("a request");
        let Ok(answer) = router.clone().oneshot(request).await;
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(body, expected, "{path}");
    }
}

fn mounted(router: axum::Router) -> Vec<(String, String)> {
    let mounted = Mounted::new(router);
    let pair = |path: &mounted::Path| (path.path.clone(), path.template.clone());
    mounted.routes().iter().chain(mounted.fallbacks()).map(pair).collect()
}

/// What axum prints is no promise: this holds it for the version in use.
#[test]
fn the_paths_of_an_axum_router_are_read() {
    let inner = axum::Router::new().route("/", get(not_found)).route("/{id}", get(not_found).post(not_found));
    let files = any_service(get(not_found));
    let router =
        axum::Router::new().route("/a-b_c", get(not_found)).nest("/things", inner).nest_service("/files", files);
    let tail = "/files/{*__private__axum_nest_tail_param}";
    let files = |path: &str| (path.to_owned(), "/files/{*rest}".to_owned());
    let own = |path: &str| (path.to_owned(), path.to_owned());
    let expected = [own("/a-b_c"), files("/files"), files("/files/"), files(tail), own("/things"), own("/things/{id}")];
    assert_eq!(mounted(router.clone()), expected);
    assert_eq!(mounted(axum::Router::new()), [], "axum's own 404 is no fallback");
    let router = Router::<()>::new().nest("/v2", Router::new().merge_axum(router));
    let templates = ["/v2/a-b_c", "/v2/files/{*rest}", "/v2/files/{*rest}", "/v2/files/{*rest}", "/v2/things"];
    assert_eq!(router.paths().collect::<Vec<_>>(), [&templates[..], &["/v2/things/{id}"]].concat());
    assert_eq!(router.undescribed().count(), 0, "they are left out on purpose");
}

/// A path that is printed with an escape is one that cannot be read: the whole router is one route, and still serves.
#[tokio::test]
async fn an_axum_router_that_does_not_show_its_paths_is_one_route() {
    let router = axum::Router::new().route("/say\"hi\"", get(async || "hi")).route("/plain", get(async || "plain"));
    let own = |path: &str| (path.to_owned(), path.to_owned());
    assert_eq!(mounted(router.clone()), [own("/"), own("/{*rest}")]);
    let router = Router::<()>::new().merge_axum(router).into_axum();
    for (path, expected) in [("/plain", 200), ("/nowhere", 404)] {
        let request = axum::extract::Request::get(path).body(axum::body::Body::empty()).expect("a request");
        let Ok(answer) = router.clone().oneshot(request).await;
        assert_eq!(answer.status(), expected, "{path}");
    }
}

#[test]
fn the_fallbacks_of_an_axum_router_are_read() {
    let api = axum::Router::new().route("/a", get(not_found)).fallback(not_found);
    let paths = |router| mounted(router).into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    assert_eq!(paths(api.clone()), ["/a", "/", "/{*__private__axum_fallback}"]);
    let nested = paths(axum::Router::new().nest("/api", api.clone()));
    assert_eq!(nested, ["/api/a", "/api", "/api/{*__private__axum_fallback}"]);
    assert_eq!(paths(axum::Router::new().fallback(not_found)), ["/", "/{*__private__axum_fallback}"]);
}

#[test]
#[should_panic(expected = "both have a fallback")]
fn two_fallbacks_are_refused() {
    let other = Router::<()>::new().fallback(not_found);
    let _ = other.clone().merge(other);
}

fn two_routes(first: Methods, second: Methods) {
    let router = Router::new().route("/one", first).route("/one", second);
    refuse_unlike("/one", &apart(router.routes).0);
}

#[test]
#[should_panic(expected = "\"/one\" has two routes of axum's method routers with different marks")]
fn two_undescribed_routes_of_one_path_with_different_marks_are_refused() {
    two_routes(get(not_found).into(), Methods::from(axum::routing::post(not_found)).max_body(Size::kib(1)));
}

#[test]
fn two_routes_of_one_path_may_be_marked_alike_or_say_their_methods() {
    let limited = |handlers: MethodRouter| Methods::from(handlers).max_body(Size::kib(1));
    two_routes(limited(get(not_found)), limited(axum::routing::post(not_found)));
    let described = crate::openapi::post(async || "described").max_body(Size::kib(1));
    two_routes(get(not_found).into(), described);
}

/// Auth around a group must not leave a handler outside, whatever its methods.
#[tokio::test]
async fn a_route_layer_is_around_every_handler_and_leaves_a_405() {
    use axum::{http::StatusCode, middleware::from_fn, routing::any};

    let router = Router::<()>::new()
        .route("/ours", crate::openapi::get(async || "ours"))
        .route("/any", any(async || "any"))
        .route("/fallback", get(async || "get").fallback(async || "other"))
        .route_service("/service", any_service(get(async || "service")))
        .merge_axum(axum::Router::new().route("/mounted", any(async || "mounted")))
        .route_layer(from_fn(async |_: Request, _: axum::middleware::Next| StatusCode::UNAUTHORIZED));
    let router = router.into_axum();
    let paths = ["/ours", "/any", "/fallback", "/service", "/mounted"];
    for (method, path) in ["GET", "POST"].into_iter().flat_map(|method| paths.map(|path| (method, path))) {
        let request = Request::builder().method(method).uri(path).body(axum::body::Body::empty()).expect("a request");
        let Ok(answer) = router.clone().oneshot(request).await;
        let expected = if (method, path) == ("POST", "/ours") { 405 } else { 401 };
        assert_eq!(answer.status(), expected, "{method} {path}");
    }
}

/// As axum has it, but for two layered routers: there axum takes the inner one's layer, and the outer one's is lost.
#[tokio::test]
async fn the_layer_around_a_404_is_of_the_outer_router_else_of_the_merged_one_and_not_of_a_nested_one() {
    let marked = |name: &'static str| {
        let mark = move |request: Request, next: axum::middleware::Next| async move {
            ([("x-layer", name)], next.run(request).await).into_response()
        };
        Router::<()>::new().route(name, get(not_found)).layer(axum::middleware::from_fn(mark))
    };
    let plain = || Router::new().route("/plain", get(not_found));
    for (router, path, expected) in [
        (plain().merge(marked("/inner")), "/nowhere", Some("/inner")),
        (plain().merge(marked("/inner")).fallback(not_found), "/nowhere", None),
        (marked("/outer").merge(plain()), "/nowhere", Some("/outer")),
        (marked("/outer").merge(marked("/inner")), "/nowhere", Some("/outer")),
        (plain().nest("/below", marked("/inner")), "/nowhere", None),
        (plain().nest("/below", marked("/inner")), "/below/nowhere", None),
    ] {
        let request = Request::get(path).body(axum::body::Body::empty()).expect("a request");
        let Ok(answer) = router.into_axum().oneshot(request).await;
        let layer = answer.headers().get("x-layer").map(|value| value.to_str().expect("letters"));
        assert_eq!((answer.status().as_u16(), layer), (404, expected), "{path}");
    }
}

#[tokio::test]
async fn a_layered_404_gives_way_to_the_fallback_of_a_mounted_router() {
    let old = axum::Router::new().route("/old", get(async || "old")).fallback(async || "its own");
    let layer =
        axum::middleware::from_fn(async |request: Request, next: axum::middleware::Next| next.run(request).await);
    let router = Router::<()>::new().merge_axum(old).layer(layer).into_axum();
    let Ok(answer) = router.oneshot(Request::get("/x").body(axum::body::Body::empty()).expect("a request")).await;
    assert_eq!(answer.into_body().collect().await.expect("a body").to_bytes(), "its own");
}
