mod direct;
mod marks;

use axum::response::{
    IntoResponse, Response,
    sse::{Event, Sse},
};
use futures_util::stream::Empty;
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;
use crate::{
    problem::{Code, Json, Path, Problem, Query},
    router::Router,
    telemetry::Identity,
};

/// A thing.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Thing {
    name: String,
    /// How many.
    #[serde(default)]
    count: u8,
    inner: Vec<Inner>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Inner {
    #[serde(default)]
    mark: bool,
}

#[expect(dead_code, reason = "only its shape counts")]
#[derive(Deserialize, JsonSchema)]
struct Page {
    /// From which one on.
    after: Option<String>,
    limit: u16,
}

#[expect(dead_code, reason = "only its shape counts")]
#[derive(Deserialize, JsonSchema)]
struct Place {
    shelf: u8,
    id: String,
}

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

fn document(router: Router) -> Value {
    let identity = Identity { service: "tests".into(), version: "1.2.3".into(), ..Identity::default() };
    of(async || Ok::<_, String>(router.documented("Things\n\nOf all kinds.", &identity).into_axum())).unwrap()
}

/// The operation that `methods` become at `path`.
fn operation(path: &str, methods: Methods) -> Value {
    let item = document(Router::new().route(path, methods))["paths"][path.replace("{*", "{")].take();
    item.as_object().expect("a path item").values().next().expect("an operation").clone()
}

#[test]
fn a_document_has_title_version_and_its_own_routes() {
    let document = document(Router::new());
    assert_eq!((&document["openapi"], &document["info"]["title"]), (&json!("3.1.0"), &json!("Things")));
    assert_eq!(document["info"]["version"], "1.2.3");
    assert!(document["info"]["description"].as_str().unwrap().starts_with("Of all kinds.\n\nEvery response"));
    assert_eq!(document["paths"], json!({}), "those of the platform are no operations");
}

#[test]
fn every_code_of_the_platform_is_described() {
    let document = document(Router::new());
    let responses = document["components"]["responses"].as_object().unwrap();
    for code in Code::ALL {
        let example = responses
            .values()
            .find_map(|response| response["content"][crate::problem::CONTENT_TYPE]["examples"].get(code.as_str()));
        let example = &example.unwrap_or_else(|| panic!("no {}", code.as_str()))["value"];
        assert_eq!((&example["code"], &example["status"]), (&json!(code.as_str()), &json!(code.status().as_u16())));
    }
    assert!(responses["ServiceUnavailable"]["headers"].get("retry-after").is_some());
    assert!(responses["TooManyRequests"]["headers"].get("retry-after").is_some());
    assert!(responses["Unauthorized"]["headers"].get("www-authenticate").is_some());
    assert!(responses["MethodNotAllowed"]["headers"].get("allow").is_some());
    assert!(responses.values().all(|response| response["headers"].get("x-request-id").is_some()));
}

#[test]
fn types_of_parameters_and_results_are_the_description() {
    async fn replace(Path(_): Path<Place>, Query(_): Query<Page>, thing: Json<Thing>) -> Result<Json<Thing>, Problem> {
        Ok(thing)
    }
    let methods = put(replace).about("Replaces a thing\n\nWhole.").problem(Code::NotFound);
    let operation = operation("/shelves/{shelf}/things/{id}", methods);
    assert_eq!(operation["operationId"], "putShelvesShelfThingsId");
    assert_eq!((&operation["summary"], &operation["description"]), (&json!("Replaces a thing"), &json!("Whole.")));

    let parameters = operation["parameters"].as_array().unwrap();
    let told: Vec<_> = parameters
        .iter()
        .filter_map(|p| {
            Some((p["in"].as_str()?, p["name"].as_str()?, p["required"] == true, p["schema"]["type"].clone()))
        })
        .collect();
    let expected = [
        ("path", "shelf", true, json!("integer")),
        ("path", "id", true, json!("string")),
        ("query", "after", false, json!(["string", "null"])),
        ("query", "limit", true, json!("integer")),
    ];
    assert_eq!(told, expected);
    assert_eq!(parameters[2]["description"], "From which one on.");

    let statuses: Vec<_> = operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(statuses, ["200", "400", "404", "408", "413", "414", "415", "422", "431", "500", "503", "504"]);
}

#[test]
fn a_list_in_a_query_is_a_parameter_that_repeats() {
    #[derive(Deserialize, JsonSchema)]
    struct Search {
        #[expect(dead_code, reason = "only its shape counts")]
        tag: Option<Vec<String>>,
    }
    let operation = operation("/", get(async |_: Query<Search>| ()));
    let schema = json!({ "type": ["array", "null"], "items": { "type": "string" } });
    let expected = json!({ "name": "tag", "in": "query", "style": "form", "explode": true, "schema": schema });
    assert_eq!(operation["parameters"][0], expected);
}

#[test]
fn closures_are_handlers() {
    let methods = get(async |Path(name): Path<String>| Json(format!("Hello, {name}"))).about("A greeting");
    let operation = operation("/v1/hello/{name}", methods);
    assert_eq!(operation["parameters"][0]["name"], "name");
    assert_eq!(operation["responses"]["200"]["content"]["application/json"]["schema"]["type"], "string");
}

#[test]
fn a_type_that_differs_by_direction_has_two_schemas() {
    async fn echo(thing: Json<Thing>) -> Json<Thing> {
        thing
    }
    let document = document(Router::new().route("/things", post(echo)));
    let operation = &document["paths"]["/things"]["post"];
    let sent = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    let answered = &operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!((sent, answered), (&json!("#/components/schemas/ThingInput"), &json!("#/components/schemas/Thing")));
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["ThingInput"]["required"], json!(["name", "inner"]));
    assert_eq!(schemas["Thing"]["required"], json!(["name", "count", "inner"]));
    assert_eq!(schemas["ThingInput"]["properties"]["inner"]["items"]["$ref"], "#/components/schemas/InnerInput");
}

#[test]
fn single_values_and_tuples_in_a_path_go_by_position() {
    async fn one(Path(_): Path<u32>) {}
    async fn two(Path(_): Path<(u32, String)>) {}
    let kinds = |path, methods| -> Vec<Value> {
        let found = operation(path, methods);
        let own = found["parameters"].as_array().unwrap().iter().filter(|parameter| parameter["in"] == "path");
        own.map(|parameter| parameter["schema"]["type"].clone()).collect()
    };
    assert_eq!(kinds("/{id}", get(one)), ["integer"]);
    assert_eq!(kinds("/{id}/{*rest}", get(two)), ["integer", "string"]);
}

#[test]
fn statuses_and_codes_of_the_apps_own_are_told() {
    async fn create() -> Result<Status<201, Json<u8>>, SoldOut> {
        Err(SoldOut)
    }
    async fn remove() -> Status<204, ()> {
        Status(())
    }
    let created = operation("/", post(create));
    assert_eq!(created["responses"]["201"]["description"], "Created");
    assert!(created["responses"].get("200").is_none());
    let schema = &created["responses"]["409"]["content"]["application/problem+json"]["schema"];
    assert_eq!(schema["allOf"][1]["properties"]["code"]["enum"], json!(["conflict", "sold_out"]));
    assert!(operation("/", delete(remove))["responses"]["204"].get("content").is_none());
    assert_eq!(Status::<204, ()>(()).into_response().status(), 204);
}

#[test]
fn bytes_and_events_have_their_media_types() {
    async fn bytes() -> Vec<u8> {
        Vec::new()
    }
    async fn events() -> Sse<Empty<Result<Event, std::convert::Infallible>>> {
        Sse::new(futures_util::stream::empty())
    }
    let content = |methods| operation("/", methods)["responses"]["200"]["content"].clone();
    assert_eq!(content(get(bytes)), json!({ "application/octet-stream": {} }));
    assert_eq!(content(get(events)), json!({ "text/event-stream": { "schema": { "type": "string" } } }));
}

#[test]
fn a_route_of_axums_own_is_not_described() {
    let bare = document(Router::new().route("/bare", axum::routing::get(async || "bare")));
    assert!(bare["paths"].get("/bare").is_none());
}

#[test]
fn routes_that_are_not_documented_cannot_be_printed() {
    let error = of(async || Ok::<_, String>(Router::new().into_axum())).unwrap_err();
    assert_eq!(error, "nothing at /openapi.json: the routes are not `documented`");
    assert_eq!(of(async || Err::<axum::Router, _>("no table")).unwrap_err(), "no table");
}

#[test]
fn a_problem_has_the_members_that_its_schema_tells() {
    let schema = schemars::schema_for!(Problem).to_value();
    let told: Vec<_> = schema["properties"].as_object().unwrap().keys().cloned().collect();
    let problem = Problem::invalid_fields(vec![crate::problem::FieldError::new("/a", "required", "is required")]);
    let context = std::sync::Arc::new(crate::request::RequestContext::anonymous());
    let written = crate::request::enter(&context, || serde_json::to_value(&problem).unwrap());
    assert_eq!(written.as_object().unwrap().keys().cloned().collect::<Vec<_>>(), told);
}
