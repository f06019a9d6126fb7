//! What a route is marked with: bounds, keys, and being left out.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::document;
use crate::{
    openapi::{Input, Methods, Operation, Scheme, Style, get},
    problem::{Problem, Query},
    router::Router,
};

#[derive(Deserialize, JsonSchema)]
struct Rated {
    #[expect(dead_code, reason = "only its bound counts")]
    #[schemars(range(min = 1, max = 5))]
    stars: u8,
}

/// An extractor of the app's own.
struct Own<const HOLDS: bool>;

impl<S: Sync, const HOLDS: bool> axum::extract::FromRequestParts<S> for Own<HOLDS> {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut http::request::Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self)
    }
}

impl<const HOLDS: bool> Input for Own<HOLDS> {
    fn describe(operation: &mut Operation<'_>) {
        if HOLDS {
            operation.holds::<Rated>();
        }
        operation.query::<Rated>();
    }
}

#[tokio::test]
async fn a_route_holds_the_bounds_that_its_description_has() {
    let router = Router::new().route("/", get(async |_: Query<Rated>| ()));
    assert_eq!(router.unheld().count(), 0);
    for (query, status) in [("stars=5", 200), ("stars=6", 422)] {
        let request = axum::extract::Request::get(format!("/?{query}")).body(axum::body::Body::empty()).unwrap();
        let answer = tower::ServiceExt::oneshot(router.clone().into_axum(), request).await.unwrap();
        assert_eq!(answer.status(), status, "{query}");
    }
}

#[test]
fn bounds_that_an_extractor_does_not_hold_are_told() {
    let router = Router::<()>::new()
        .route("/loose", get(async |_: Own<false>| ()))
        .route("/axum", get(async |_: axum::extract::Query<Rated>| ()))
        .route("/", get(async |_: Own<true>| ()));
    let told: Vec<_> = router.unheld().collect();
    let name = std::any::type_name::<Rated>();
    assert_eq!(told, [("/loose", name), ("/axum", name)]);
}

#[test]
fn a_group_that_needs_a_key_says_so_with_its_problems() {
    let things = Router::<()>::new()
        .route("/things", get(async || ()).post(async || ()))
        .route("/admin", get(async || ()).secured("login", Scheme::Bearer))
        .secured("key", Scheme::ApiKeyHeader("x-api-key"));
    let document = document(Router::new().nest("/v1", things).route("/open", get(async || ())));
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(schemes["key"], json!({ "type": "apiKey", "in": "header", "name": "x-api-key" }));
    assert_eq!(schemes["login"], json!({ "type": "http", "scheme": "bearer" }));
    for (path, method, security) in [
        ("/v1/things", "get", json!([{ "key": [] }])),
        ("/v1/things", "post", json!([{ "key": [] }])),
        ("/v1/admin", "get", json!([{ "login": [], "key": [] }])),
        ("/open", "get", Value::Null),
    ] {
        let operation = &document["paths"][path][method];
        assert_eq!(operation["security"], security, "{method} {path}");
        for (status, name) in [("401", "Unauthorized"), ("403", "Forbidden")] {
            let expected = format!("#/components/responses/{name}");
            let expected = if security.is_null() { Value::Null } else { json!({ "$ref": expected }) };
            assert_eq!(operation["responses"][status], expected, "{method} {path}");
        }
    }
}

#[test]
#[should_panic(expected = "the security scheme `key` is Bearer and Basic")]
fn a_name_of_two_security_schemes_stops_the_start() {
    let router = Router::new().route("/a", get(async || ()).secured("key", Scheme::Bearer));
    document(router.route("/b", get(async || ()).secured("key", Scheme::Basic)));
}

#[test]
fn what_is_left_out_on_purpose_is_no_operation_and_not_missed() {
    let page = axum::routing::get(async || "page");
    let router = Router::new()
        .route("/page", Methods::from(page).undescribed())
        .route("/style", get(async || Style("")).undescribed())
        .route("/forgotten", axum::routing::get(async || ""))
        .route("/told", get(async || ()));
    assert_eq!(router.undescribed().collect::<Vec<_>>(), ["/forgotten"]);
    assert_eq!(router.described_paths().collect::<Vec<_>>(), ["/told"]);
    assert_eq!(router.paths().count(), 4);
    let document = document(router);
    assert_eq!(document["paths"].as_object().unwrap().keys().collect::<Vec<_>>(), ["/told"]);
}
