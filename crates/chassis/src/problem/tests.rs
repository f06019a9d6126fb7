use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRequestParts, Request},
    routing::{get, post},
};
use http::Method;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::request::{RequestContext, TraceContext};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parcel {
    weight_g: u32,
    #[serde(default)]
    items: Vec<u8>,
}

async fn document(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn send(content_type: &str, body: Body) -> (StatusCode, Value) {
    let weigh = post(|Json(parcel): Json<Parcel>| async move { format!("{}{}", parcel.weight_g, parcel.items.len()) });
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    request.headers_mut().insert(header::CONTENT_TYPE, content_type.parse().unwrap());
    document(Router::new().route("/", weigh).oneshot(request).await.unwrap()).await
}

async fn ask(path: &str) -> (StatusCode, Value) {
    #[derive(Deserialize)]
    struct Page {
        page: u32,
    }
    let app = Router::new()
        .route("/query", get(|query: Query<Page>| async move { query.page.to_string() }))
        .route("/path/{id}", get(|id: Path<u32>| async move { id.to_string() }));
    let request = Request::builder().uri(path).body(Body::empty()).unwrap();
    document(app.oneshot(request).await.unwrap()).await
}

#[test]
fn codes_are_unique_and_snake_case() {
    let mut names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Code::ALL.len());
}

#[tokio::test]
async fn a_problem_carries_the_request_id_and_is_not_stored() {
    let context = RequestContext {
        id: HeaderValue::from_static("a\"b"),
        trace: TraceContext::default(),
        span: None,
        baggage: None,
        deadline: None,
    };
    let response =
        request::enter(&Arc::new(context), || Problem::overloaded(Duration::from_millis(1500)).into_response());
    assert_eq!(response.headers()["content-type"], CONTENT_TYPE);
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["retry-after"], "2");
    let (status, body) = document(response).await;
    assert_eq!(status, 503);
    let expected = json!({
        "type": "about:blank", "title": "Service Unavailable", "status": 503, "code": "overloaded",
        "detail": "This replica is overloaded.", "request_id": "a\"b",
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_401_says_how_to_prove_who_asks() {
    let response = Problem::new(Code::Unauthorized).with_challenge("Bearer").into_response();
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    assert_eq!(document(response).await.1["code"], "unauthorized");
    let bare = (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic")]).into_response();
    let response = Problem::explain(bare);
    assert_eq!(response.headers()["www-authenticate"], "Basic");
    assert_eq!(document(response).await.1["code"], "unauthorized");
}

#[tokio::test]
async fn an_internal_error_has_no_detail() {
    let (status, body) = document(Problem::internal().into_response()).await;
    assert_eq!((status.as_u16(), body.get("detail")), (500, None));
}

#[tokio::test]
async fn a_bare_405_is_explained_and_keeps_allow() {
    let app = Router::new().route("/", get(|| async {}));
    let request = Request::builder().method(Method::DELETE).body(Body::empty()).unwrap();
    let response = Problem::explain(app.oneshot(request).await.unwrap());
    assert_eq!(response.headers()["allow"], "GET,HEAD");
    let (status, body) = document(response).await;
    assert_eq!((status.as_u16(), body["code"].as_str()), (405, Some("method_not_allowed")));
}

#[tokio::test]
async fn an_answer_with_a_body_is_not_explained() {
    let response = Problem::explain((StatusCode::NOT_FOUND, "own words").into_response());
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "own words");
}

#[tokio::test]
async fn what_is_not_json_is_400_with_its_place_and_no_echo() {
    for body in ["{\"weight_g\": secret}", "", "{\"weight_g\":1} secret", "{\"weight_g\":"] {
        let (status, problem) = send("application/json", body.into()).await;
        assert_eq!((status.as_u16(), problem["code"].as_str()), (400, Some("malformed_request")), "{body}");
        assert!(problem["detail"].as_str().unwrap().contains("line 1"), "{problem}");
        assert!(!problem.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn another_content_type_is_415() {
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
        assert_eq!(send(content_type, "{}".into()).await.0, 415, "{content_type}");
    }
    for content_type in ["application/json; charset=utf-8", "Application/Vnd.Api+JSON"] {
        assert_eq!(send(content_type, "{}".into()).await.0, 422, "{content_type}");
    }
}

#[tokio::test]
async fn another_shape_is_422_with_a_pointer_and_no_echo() {
    for (body, field, code) in [
        ("{}", "/weight_g", "required"),
        (r#"{"weight_g":"secret"}"#, "/weight_g", "invalid"),
        (r#"{"weight_g":-1}"#, "/weight_g", "invalid"),
        (r#"{"weight_g":1,"items":[1,300]}"#, "/items/1", "invalid"),
        (r#"{"weight_g":1,"a/b":1}"#, "/a~1b", "unknown"),
        (r#"{"weight_g":1,"weight_g":1}"#, "/weight_g", "duplicate"),
        (r#""secret""#, "", "invalid"),
    ] {
        let (status, problem) = send("application/json", body.into()).await;
        let error = &problem["errors"][0];
        assert_eq!((status.as_u16(), problem["code"].as_str()), (422, Some("invalid_fields")), "{body}");
        assert_eq!((error["field"].as_str(), error["code"].as_str()), (Some(field), Some(code)), "{body}: {problem}");
        assert!(!problem.to_string().contains("secret"), "{problem}");
    }
}

#[tokio::test]
async fn a_whole_number_may_be_written_with_a_fraction_of_zero() {
    for (body, status) in [
        (r#"{"weight_g":800.0,"items":[1.0,2e0]}"#, 200),
        (r#"{"weight_g":800.5}"#, 422),
        (r#"{"weight_g":1e300}"#, 422),
        (r#"{"weight_g":-1.0}"#, 422),
    ] {
        let weigh = post(|Json(parcel): Json<Parcel>| async move { parcel.weight_g.to_string() });
        let request =
            Request::post("/").header(header::CONTENT_TYPE, "application/json").body(Body::from(body)).unwrap();
        assert_eq!(Router::new().route("/", weigh).oneshot(request).await.unwrap().status(), status, "{body}");
    }
    let mut form = Form::new(json!({ "whole": 800.0, "half": 0.5 }));
    assert_eq!((form.require::<u32>("whole"), form.require::<f64>("half")), (Some(800), Some(0.5)));
    form.finish().unwrap();
}

#[tokio::test]
async fn errors_of_the_body_keep_their_meaning() {
    for (error, status) in [(BodyError::TooLarge, 413), (BodyError::TimedOut, 408), (BodyError::Disconnected, 400)] {
        let broken = futures_util::stream::iter([Err::<bytes::Bytes, _>(std::io::Error::other(error))]);
        assert_eq!(send("application/json", Body::from_stream(broken)).await.0, status);
    }
    let limited = http_body_util::Limited::new(Body::from("{\"weight_g\":1}"), 3);
    assert_eq!(send("application/json", Body::new(limited)).await.0, 413);
}

#[tokio::test]
async fn a_wrong_parameter_is_named() {
    let (status, problem) = ask("/query?page=secret").await;
    assert_eq!((status.as_u16(), problem["errors"][0]["field"].as_str()), (422, Some("page")), "{problem}");
    let (status, problem) = ask("/query").await;
    assert_eq!((status.as_u16(), problem["errors"][0]["field"].as_str()), (422, Some("page")), "{problem}");
    let (status, problem) = ask("/path/secret").await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (400, Some("malformed_request")), "{problem}");
    assert!(!problem.to_string().contains("secret"));
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Search {
    tag: Vec<String>,
    size: Option<Vec<u32>>,
    kind: Vec<Kind>,
    page: Option<u32>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    New,
    Used,
}

async fn search(query: &str) -> Result<Search, (u16, String, String)> {
    let request = Request::get(format!("/?{query}")).body(()).unwrap();
    let found = Query::<Search>::from_request_parts(&mut request.into_parts().0, &()).await;
    found.map(|Query(search)| search).map_err(|problem| {
        let FieldError { field, code, detail } = problem.errors()[0].clone();
        (problem.status().as_u16(), field, format!("{code}: {detail}"))
    })
}

#[tokio::test]
async fn a_list_in_a_query_has_every_value_of_its_parameter() {
    let tags = |tags: &[&str]| tags.iter().map(ToString::to_string).collect();
    let found = search("tag=a&size=1&tag=b%20c&kind=used&page=2&size=20&tag=").await.unwrap();
    let expected =
        Search { tag: tags(&["a", "b c", ""]), size: Some(vec![1, 20]), kind: vec![Kind::Used], page: Some(2) };
    assert_eq!(found, expected);
    assert_eq!(search("tag=one").await.unwrap(), Search { tag: tags(&["one"]), ..Search::default() });
    assert_eq!(search("").await.unwrap(), Search::default());
}

#[tokio::test]
async fn a_form_body_has_lists_too_and_is_as_strict() {
    use axum::extract::FromRequest;
    let send = async |content_type: &str, body: &'static str| {
        let request = Request::post("/").header(header::CONTENT_TYPE, content_type).body(Body::from(body)).unwrap();
        FormBody::<Search>::from_request(request, &()).await
    };
    let FormBody(found) = send("application/x-www-form-urlencoded; charset=utf-8", "kind=new&kind=used").await.unwrap();
    assert_eq!(found.kind, [Kind::New, Kind::Used]);
    assert_eq!(send("application/json", "").await.unwrap_err().code(), "unsupported_media_type");
    let problem = send("application/x-www-form-urlencoded", "page=secret").await.unwrap_err();
    assert_eq!((problem.status().as_u16(), problem.errors()[0].field.as_str()), (422, "page"));
}

#[tokio::test]
async fn a_query_with_lists_is_as_strict_as_one_without() {
    for (query, field, error) in [
        ("kind=new&kind=secret", "kind", "invalid: expected `new` or `used`"),
        ("size=1&size=secret", "size", "invalid: is not valid"),
        ("page=", "page", "invalid: is not valid"),
        ("tag=a&page=1&page=2", "page", "duplicate: is duplicated"),
        ("tag=a&other=1", "other", "unknown: is an unknown field"),
    ] {
        let found = search(query).await.unwrap_err();
        assert_eq!(found, (422, field.to_owned(), error.to_owned()), "{query}");
    }
}

#[test]
fn a_form_tells_every_error() {
    let mut form = Form::new(json!({ "name": 1, "size": { "x": "wide", "y": 1 }, "more": true }));
    assert_eq!(form.require::<String>("name"), None);
    assert_eq!(form.require::<u8>("age"), None);
    assert_eq!(form.optional::<u8>("note"), None);
    let mut size = form.object("size");
    assert_eq!(size.require::<u8>("x"), None);
    let mut lost = form.object("lost");
    assert_eq!(lost.require::<u8>("x"), None);
    size.close();
    lost.close();
    let problem = form.finish().unwrap_err();
    let fields: Vec<_> = problem.errors().iter().map(|error| (error.field.as_str(), error.code)).collect();
    let expected = [
        ("/name", "invalid"),
        ("/age", "required"),
        ("/size/x", "invalid"),
        ("/lost", "required"),
        ("/size/y", "unknown"),
        ("/more", "unknown"),
    ];
    assert_eq!(fields, expected);
}

#[test]
fn a_form_that_is_no_object_has_one_error() {
    let mut form = Form::new(json!([1]));
    assert_eq!(form.require::<u8>("age"), None);
    assert_eq!(form.object("size").require::<u8>("x"), None);
    let problem = form.finish().unwrap_err();
    assert_eq!(problem.errors(), [FieldError::new("", "invalid", "expected an object")]);
}
