//! Ordinary handlers: each of axum's extractors and results compiles with our `get` and `post`, answers, and is described
//! as far as its type tells.
//!
//! In this process and without the middleware; `ordinary` asks a program for the rest.

mod explained;
mod shape;

use std::{convert::Infallible, net::SocketAddr};

use axum::{
    Extension, Form, Json,
    body::{Body, Bytes},
    extract::{
        ConnectInfo, MatchedPath, Multipart, OriginalUri, Path, Query, RawQuery, Request, State, WebSocketUpgrade,
        rejection::JsonRejection,
    },
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{
        Html, IntoResponse, NoContent, Redirect, Response,
        sse::{Event, Sse},
    },
};
use axum_extra::{TypedHeader, extract::CookieJar, headers::UserAgent};
use chassis::{
    connection::ConnectionInfo,
    openapi::{Input, Methods, Operation, Output, get, opaque, post},
    problem::{self, Problem},
    router::Router,
};
use futures_util::{Stream, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::shape::Shape;

#[derive(Serialize, Deserialize, JsonSchema, Default)]
struct Thing {
    size: u8,
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn what_no_client_sees_is_not_described() {
    async fn state(State(state): State<u8>) -> String {
        state.to_string()
    }
    for methods in [
        get(state).with_state(1),
        get(async |Extension(text): Extension<&'static str>| text).layer(Extension("text")),
        get(async |headers: HeaderMap| headers.len().to_string()),
        get(async |request: Request| request.uri().to_string()),
        get(async |RawQuery(query): RawQuery| query.unwrap_or_default()),
        get(async |OriginalUri(uri): OriginalUri| uri.to_string()),
        get(async |path: MatchedPath| path.as_str().to_owned()),
        get(async |jar: CookieJar| jar.iter().count().to_string()),
    ] {
        Shape::get(methods).await.answers(200).parameters(&[]).statuses(&["200"]);
    }
    let connection = get(async |connection: ConnectionInfo| connection.peer().to_string());
    Shape::get(connection).await.answers(500).parameters(&[]).statuses(&["200"]);
    let mut request = Request::get("/shape").body(Body::empty()).expect("a request");
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))));
    let peer = get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string());
    Shape::of("/shape", peer, request).await.answers(200).parameters(&[]);
}

#[tokio::test]
async fn bodies_are_described_with_their_media_types() {
    let content = |media_type: &str| format!("/requestBody/content/{}", media_type.replace('/', "~1"));
    let shape = Shape::post("text/plain", "text", post(async |body: Bytes| body)).await;
    shape.answers(200).says(&content("application/octet-stream"), json!({}));
    let shape = Shape::post("text/plain", "text", post(async |body: String| body)).await;
    shape.answers(200).says(&content("text/plain"), json!({})).statuses(&["200", "400"]);
    let shape = Shape::post(JSON, r#"{"size":1}"#, post(async |thing: Json<Thing>| thing)).await;
    shape.answers(200).statuses(&["200", "400", "415", "422"]);
    shape.says(&format!("{}/schema/$ref", content(JSON)), "#/components/schemas/Thing");
    let shape = Shape::post(FORM, "size=1", post(async |Form(thing): Form<Thing>| thing.size.to_string())).await;
    shape.answers(200).statuses(&["200", "400", "415", "422"]);
    shape.says(&format!("{}/schema/$ref", content(FORM)), "#/components/schemas/Thing");
    let parts =
        post(async |mut parts: Multipart| parts.next_field().await.is_ok_and(|part| part.is_some()).to_string());
    let body = "--edge\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1\r\n--edge--\r\n";
    let shape = Shape::post("multipart/form-data; boundary=edge", body, parts).await;
    shape.answers(200).statuses(&["200", "400"]).says("/requestBody/required", true);
    shape.says(&format!("{}/schema/type", content("multipart/form-data")), "object");
}

#[tokio::test]
async fn what_may_be_absent_is_not_required() {
    let json = post(async |thing: Option<Json<Thing>>| thing.is_some().to_string());
    let shape = Shape::post("", "", json.clone()).await;
    shape.says("/requestBody/required", Value::Null);
    shape.says("/requestBody/content/application~1json/schema/$ref", "#/components/schemas/Thing");
    let ours = post(async |thing: Option<problem::Json<Thing>>| thing.is_some().to_string());
    let nothing = || Request::post("/shape").body(Body::empty()).expect("a request");
    Shape::of("/shape", json, nothing()).await.answers(200);
    Shape::of("/shape", ours, nothing()).await.answers(200);
    let agent = get(async |agent: Option<TypedHeader<UserAgent>>| agent.is_some().to_string());
    Shape::get(agent).await.answers(200).parameters(&["user-agent"]).says("/parameters/0/required", Value::Null);
    for methods in [
        get(async |id: Option<Path<u8>>| id.is_some().to_string()),
        get(async |id: Option<problem::Path<u8>>| id.is_some().to_string()),
    ] {
        Shape::get(methods.clone()).await.answers(200).parameters(&[]);
        let request = Request::get("/shape/1").body(Body::empty()).expect("a request");
        Shape::of("/shape/{id}", methods, request).await.answers(200).says("/parameters/0/required", true);
    }
}

#[tokio::test]
async fn what_a_handler_judges_itself_has_no_problems() {
    let judge = post(async |thing: Result<Json<Thing>, JsonRejection>| -> Result<String, StatusCode> {
        thing.map(|thing| thing.size.to_string()).map_err(|_| StatusCode::IM_A_TEAPOT)
    });
    let shape = Shape::post(JSON, "{", judge).await;
    shape.answers(418).statuses(&["200", "default"]).says("/requestBody/required", true);
    let pass_on =
        post(async |thing: Result<Json<Thing>, JsonRejection>| -> Result<Json<Thing>, JsonRejection> { thing });
    Shape::post(JSON, "{", pass_on).await.answers(400).statuses(&["200", "400", "415", "422"]);
}

#[tokio::test]
async fn parameters_are_described_by_name() {
    let shape = Shape::get(get(async |Query(thing): Query<Thing>| thing.size.to_string())).await;
    shape.answers(200).parameters(&["size"]).statuses(&["200", "400"]).says("/parameters/0/in", "query");
    let shape = Shape::get(get(async |Form(thing): Form<Thing>| thing.size.to_string())).await;
    shape.answers(200).parameters(&["size"]).says("/requestBody", Value::Null);
    let agent = get(async |TypedHeader(agent): TypedHeader<UserAgent>| agent.to_string());
    let shape = Shape::get(agent).await;
    shape.answers(400).parameters(&["user-agent"]).statuses(&["200", "400"]).says("/parameters/0/in", "header");
    let request = Request::get("/shape/1").body(Body::empty()).expect("a request");
    let shape = Shape::of("/shape/{id}", get(async |Path(id): Path<u8>| id.to_string()), request).await;
    shape.answers(200).says("/parameters/0/schema/type", "integer");
}

#[tokio::test]
async fn an_upgrade_is_described() {
    let upgrade = get(async |upgrade: WebSocketUpgrade| -> Response { upgrade.on_upgrade(async |_| {}) });
    Shape::get(upgrade).await.answers(400).statuses(&["101", "400", "405", "426", "default"]);
}

#[tokio::test]
async fn results_are_described_as_far_as_their_types_tell() {
    async fn headers() -> (StatusCode, HeaderMap, &'static str) {
        (StatusCode::ACCEPTED, HeaderMap::new(), "text")
    }
    async fn array() -> (StatusCode, [(HeaderName, &'static str); 1], Json<Thing>) {
        (StatusCode::CREATED, [(header::LOCATION, "/1")], Json(Thing::default()))
    }
    async fn events() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
        Sse::new(stream::empty())
    }
    let cookie = get(async |jar: CookieJar| (jar, Redirect::to("/")));
    let location = "/responses/3XX/headers/location/schema/type";
    let created = get(async || (StatusCode::CREATED, Json(Thing::default())));
    Shape::get(get(async || Redirect::permanent("/"))).await.answers(308).statuses(&["3XX"]).says(location, "string");
    let shape = Shape::get(cookie).await;
    shape.answers(303).says(location, "string").says("/responses/3XX/headers/set-cookie/schema/type", "string");
    Shape::get(get(async || StatusCode::ACCEPTED)).await.answers(202).statuses(&["default"]);
    Shape::get(get(async || NoContent)).await.answers(204).statuses(&["204"]);
    let schema = "/responses/default/content/application~1json/schema/$ref";
    Shape::get(created).await.answers(201).statuses(&["default"]).says(schema, "#/components/schemas/Thing");
    Shape::get(get(array)).await.answers(201).says(schema, "#/components/schemas/Thing");
    Shape::get(get(headers)).await.answers(202).says("/responses/default/content/text~1plain/schema/type", "string");
    Shape::get(get(async || "".into_response()))
        .await
        .answers(200)
        .says("/responses/default/content", json!({"*/*": {}}));
    Shape::get(get(async || Html("html"))).await.answers(200).statuses(&["200"]);
    let media = "/responses/200/content/text~1event-stream/schema/type";
    Shape::get(get(events)).await.answers(200).says(media, "string");
}

/// An error of the app's own, with one line for the description.
#[derive(Debug)]
struct Gone;

impl IntoResponse for Gone {
    fn into_response(self) -> Response {
        StatusCode::GONE.into_response()
    }
}

impl Output for Gone {}

/// An error that says more.
struct SoldOut;

impl IntoResponse for SoldOut {
    fn into_response(self) -> Response {
        Problem::custom(StatusCode::CONFLICT, "sold_out").into_response()
    }
}

impl Output for SoldOut {
    fn describe(operation: &mut Operation<'_>) {
        operation.custom_problem(StatusCode::CONFLICT, "sold_out");
    }
}

#[tokio::test]
async fn an_error_of_the_apps_own_is_described_as_it_says() {
    let gone = get(async || -> Result<Json<Thing>, Gone> { Err(Gone) });
    Shape::get(gone).await.answers(410).statuses(&["200", "default"]);
    let sold_out = get(async || -> Result<Json<Thing>, SoldOut> { Err(SoldOut) });
    Shape::get(sold_out).await.answers(409).statuses(&["200", "409"]);
    let pair =
        get(async || -> Result<Json<Thing>, (StatusCode, String)> { Err((StatusCode::CONFLICT, String::new())) });
    Shape::get(pair).await.answers(409).statuses(&["200", "default"]);
    let any = get(async || -> axum::response::Result<&'static str> { Err(StatusCode::GONE.into()) });
    Shape::get(any).await.answers(410).statuses(&["200", "default"]);
}

#[tokio::test]
async fn a_result_without_a_name_is_told_to_be_opaque() {
    async fn anything(Query(thing): Query<Thing>) -> impl IntoResponse {
        (StatusCode::CREATED, thing.size.to_string())
    }
    async fn fallible() -> Result<impl IntoResponse, Gone> {
        Err::<(), _>(Gone)
    }
    let shape = Shape::get(get(opaque(anything))).await;
    shape.answers(201).parameters(&["size"]).statuses(&["400", "default"]);
    Shape::get(get(opaque(fallible))).await.answers(410).statuses(&["default"]);
    Shape::post(JSON, "", get(anything_else).post(opaque(fallible))).await.answers(410);
}

async fn anything_else(_: Own) -> &'static str {
    "else"
}

/// An extractor of the app's own, with one line for the description.
struct Own;

impl<S: Sync> axum::extract::FromRequestParts<S> for Own {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut axum::http::request::Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

impl Input for Own {}

#[test]
fn what_is_left_out_on_purpose_is_not_reported() {
    let bare = || axum::routing::get(async || "bare");
    let router = Router::<()>::new().route("/forgotten", bare());
    let router = router.route("/meant", Methods::from(bare()).undescribed());
    let router = router.route("/hidden", get(async || "hidden").undescribed());
    assert_eq!(router.undescribed().collect::<Vec<_>>(), ["/forgotten"]);
}
