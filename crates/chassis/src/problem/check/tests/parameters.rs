//! Bounds of a query and of a path.

use axum::{Router, body::Body, extract::Request, routing::get};
use http_body_util::BodyExt;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::problem::{Path, Query, check::hold};

#[derive(Debug, Deserialize, JsonSchema)]
struct Search {
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u8>,
    #[serde(default)]
    #[schemars(length(max = 2), inner(length(min = 1)))]
    tag: Vec<String>,
    #[serde(default)]
    #[schemars(inner(range(max = 5)))]
    size: Vec<u32>,
    #[serde(default)]
    exact: bool,
}

#[derive(Deserialize, JsonSchema)]
struct Shelf {
    #[schemars(range(min = 1))]
    shelf: u32,
    #[schemars(length(max = 3))]
    name: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
struct Id(#[schemars(range(min = 1))] u32);

async fn ask(path: &str) -> Value {
    hold::<Search>();
    hold::<Shelf>();
    hold::<(Id, Id)>();
    hold::<Id>();
    let app = Router::new()
        .route(
            "/search",
            get(async |Query(search): Query<Search>| {
                format!("{:?} {:?} {:?} {}", search.limit, search.tag, search.size, search.exact)
            }),
        )
        .route("/shelf/{shelf}/{name}", get(async |Path(at): Path<Shelf>| format!("{} {}", at.shelf, at.name)))
        .route("/pair/{a}/{b}", get(async |Path((a, b)): Path<(Id, Id)>| format!("{} {}", a.0, b.0)))
        .route("/one/{id}", get(async |Path(id): Path<Id>| id.0.to_string()));
    let answer = app.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let problem: Value = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into());
    problem.get("errors").cloned().unwrap_or(problem)
}

#[tokio::test]
async fn bounds_of_parameters_are_held_and_name_the_parameter() {
    let error = |field: &str, code: &str, detail: &str| json!([{ "field": field, "detail": detail, "code": code }]);
    for (path, expected) in [
        ("/search?limit=101", error("limit", "out_of_range", "must be 1 to 100")),
        ("/search?limit=-1", error("limit", "out_of_range", "must be 1 to 100")),
        ("/search?limit=secret", error("limit", "invalid", "expected a whole number")),
        ("/search?tag=a&tag=b&tag=c", error("tag", "wrong_length", "must have at most 2 items")),
        ("/search?tag=", error("tag", "wrong_length", "must have at least 1 character")),
        ("/search?size=1&size=6", error("size", "out_of_range", "must be 0 to 5")),
        ("/search?exact=secret", error("exact", "invalid", "expected a boolean")),
        ("/shelf/0/abc", error("shelf", "out_of_range", "must be at least 1")),
        ("/shelf/1/abcd", error("name", "wrong_length", "must have at most 3 characters")),
        ("/pair/1/0", error("b", "out_of_range", "must be at least 1")),
        ("/one/0", error("id", "out_of_range", "must be at least 1")),
        ("/search?limit=100&tag=a&tag=b&size=5&exact=true&more", json!("Some(100) [\"a\", \"b\"] [5] true")),
        ("/shelf/1/abc", json!("1 abc")),
        ("/pair/1/2", json!("1 2")),
        ("/one/7", json!(7)),
    ] {
        assert_eq!(ask(path).await, expected, "{path}");
    }
}
