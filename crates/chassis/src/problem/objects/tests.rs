//! Arrays where an object is described, wherever serde meets a struct.

use std::{collections::HashMap, fmt::Debug};

use axum::{
    body::Body,
    extract::{FromRequest, Request},
};
use http::header;
use serde::{Deserialize, de::DeserializeOwned};

use super::super::{Form, Json, Problem};

#[derive(Debug, Deserialize, PartialEq)]
struct Pair {
    left: u32,
    right: Option<Box<Pair>>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(transparent)]
struct Whole(Pair);

#[derive(Debug, Deserialize, PartialEq)]
struct Point(u32, u32);

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Shape {
    Line { from: u32, to: u32 },
    Corner(u32, u32),
    Alone(Pair),
}

async fn read<T: DeserializeOwned + 'static>(body: &str) -> Result<T, Problem> {
    let request = Request::post("/").header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_owned()));
    Json::from_request(request.expect("a request"), &()).await.map(|Json(value)| value)
}

/// `array` has at `field` what belongs into an object, which `object` has there.
async fn refuses<T: DeserializeOwned + Debug + 'static>(object: &str, array: &str, field: &str) {
    read::<T>(object).await.unwrap_or_else(|problem| panic!("{object}: {problem:?}"));
    let problem = read::<T>(array).await.expect_err(array);
    let problem = serde_json::to_value(&problem).expect("JSON");
    assert_eq!(problem["status"], 422, "{array}: {problem}");
    assert_eq!(problem["errors"][0]["field"], field, "{array}: {problem}");
    assert_eq!(problem["errors"][0]["detail"], "expected an object", "{array}: {problem}");
    assert_eq!(problem["errors"].as_array().map(Vec::len), Some(1), "{array}: {problem}");
}

#[tokio::test]
async fn an_array_is_no_struct() {
    refuses::<Pair>(r#"{"left":1}"#, "[1,null]", "").await;
    refuses::<Pair>(r#"{"left":1,"right":{"left":2}}"#, r#"{"left":1,"right":[2,null]}"#, "/right").await;
    refuses::<Whole>(r#"{"left":1}"#, "[1,null]", "").await;
    refuses::<Vec<Pair>>(r#"[{"left":1}]"#, r#"[{"left":1},[2,null]]"#, "/1").await;
    refuses::<(u32, Pair)>(r#"[1,{"left":1}]"#, "[1,[1,null]]", "/1").await;
    refuses::<HashMap<String, Pair>>(r#"{"a":{"left":1}}"#, r#"{"a":[1,null]}"#, "/a").await;
    refuses::<Shape>(r#"{"line":{"from":1,"to":2}}"#, r#"{"line":[1,2]}"#, "/line").await;
    refuses::<Shape>(r#"{"alone":{"left":1}}"#, r#"{"alone":[1,null]}"#, "/alone").await;
}

#[tokio::test]
async fn what_is_described_as_an_array_stays_one() {
    assert_eq!(read::<Point>("[1,2]").await.ok(), Some(Point(1, 2)));
    assert_eq!(read::<Shape>(r#"{"corner":[1,2]}"#).await.ok(), Some(Shape::Corner(1, 2)));
    assert_eq!(read::<(u32, String, Vec<f64>)>(r#"[1,"a",[0.5]]"#).await.ok(), Some((1, "a".into(), vec![0.5])));
    let value = serde_json::json!({"a": [1, -2, 0.5, "b", null, true, {"c": []}]});
    assert_eq!(read::<serde_json::Value>(&value.to_string()).await.ok(), Some(value));
    // Of an integer with a fraction of zero, too.
    assert_eq!(read::<Point>("[1.0,2]").await.ok(), Some(Point(1, 2)));
}

#[test]
fn an_array_is_no_struct_in_a_form() {
    let mut form = Form::new(serde_json::json!({"pair": [1, null]}));
    assert_eq!(form.require::<Pair>("pair"), None);
    let problem = serde_json::to_value(form.finish().expect_err("an array")).expect("JSON");
    assert_eq!(problem["errors"][0]["field"], "/pair");
    assert_eq!(problem["errors"][0]["detail"], "expected an object");
}
