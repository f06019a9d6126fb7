mod attacks;
mod parameters;

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    body::Body,
    extract::{FromRequest, Request},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::problem::{Draft, Json, Problem};

const LARGEST: u64 = u64::MAX - 1;

/// Every attribute of `schemars` that is a bound, and each way to put types together.
#[expect(dead_code, reason = "it is only read")]
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Order {
    #[schemars(range(min = 1, max = 10))]
    amount: i64,
    #[serde(default)]
    #[schemars(range(min = 0.5))]
    price: Option<f64>,
    #[serde(default)]
    #[schemars(range(max = LARGEST))]
    wide: u64,
    #[serde(default)]
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 3))]
    open: Option<i8>,
    #[serde(default)]
    #[schemars(extend("multipleOf" = 5))]
    step: u32,
    #[serde(default)]
    #[schemars(length(min = 2, max = 3))]
    name: Option<String>,
    #[serde(default)]
    #[schemars(length(equal = 1), inner(length(max = 2)))]
    tags: Option<Vec<String>>,
    #[serde(default)]
    #[schemars(regex(pattern = r"^\d{2}$"))]
    code: Option<String>,
    #[serde(default)]
    #[schemars(email)]
    mail: Option<String>,
    #[serde(default)]
    #[schemars(url)]
    link: Option<String>,
    #[serde(default)]
    #[schemars(extend("format" = "ip"))]
    address: Option<String>,
    #[serde(default)]
    only_once: BTreeSet<u8>,
    #[serde(default)]
    #[schemars(extend("maxProperties" = 1))]
    by_name: BTreeMap<String, Line>,
    #[serde(default)]
    by_number: BTreeMap<u8, Line>,
    #[serde(default)]
    lines: Vec<Line>,
    #[serde(default)]
    payment: Option<Payment>,
    #[serde(default)]
    either: Option<Either>,
    #[serde(default)]
    speed: Option<Speed>,
    #[serde(default)]
    pair: Option<(u8, Line)>,
}

#[expect(dead_code, reason = "it is only read")]
#[derive(Clone, Debug, Deserialize, JsonSchema)]
struct Line {
    #[schemars(range(min = 1))]
    count: u32,
    #[serde(default)]
    below: Vec<Line>,
}

#[expect(dead_code, reason = "it is only read")]
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "snake_case")]
enum Payment {
    Card {
        #[schemars(length(equal = 4))]
        digits: String,
    },
    Invoice,
}

#[expect(dead_code, reason = "it is only read")]
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Either {
    One(Line),
    Many(Vec<Line>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Speed {
    /// By road.
    Slow,
    /// By air.
    Fast,
}

fn errors(problem: &Problem) -> Vec<(&str, &str, &str)> {
    problem.errors().iter().map(|error| (error.field.as_str(), error.code, error.detail.as_ref())).collect()
}

async fn order(body: &Value) -> Result<(), Problem> {
    assert!(hold::<Order>());
    let request = Request::post("/").header("content-type", "application/json").body(Body::from(body.to_string()));
    Json::<Order>::from_request(request.unwrap(), &()).await.map(|_| ())
}

/// The error of an order with one more field.
async fn wrong(name: &str, value: Value) -> Vec<(String, String, String)> {
    let mut body = json!({ "amount": 1 });
    body[name] = value;
    let Err(problem) = order(&body).await else { return Vec::new() };
    assert_eq!(problem.status(), 422);
    errors(&problem).into_iter().map(|(field, code, detail)| (field.into(), code.into(), detail.into())).collect()
}

#[tokio::test]
async fn every_bound_of_a_body_is_held() {
    for (name, value, field, code, detail) in [
        ("amount", json!(0), "/amount", "out_of_range", "must be 1 to 10"),
        ("amount", json!(11), "/amount", "out_of_range", "must be 1 to 10"),
        ("price", json!(0.25), "/price", "out_of_range", "must be at least 0.5"),
        ("wide", json!(u64::MAX), "/wide", "out_of_range", "must be 0 to 18446744073709551614"),
        ("open", json!(0), "/open", "out_of_range", "must be above 0 and below 3"),
        ("open", json!(3), "/open", "out_of_range", "must be above 0 and below 3"),
        ("step", json!(7), "/step", "out_of_range", "must be a multiple of 5"),
        ("name", json!("a"), "/name", "wrong_length", "must have 2 to 3 characters"),
        ("name", json!("äöüß"), "/name", "wrong_length", "must have 2 to 3 characters"),
        ("tags", json!([]), "/tags", "wrong_length", "must have exactly 1 item"),
        ("tags", json!(["abc"]), "/tags/0", "wrong_length", "must have at most 2 characters"),
        ("code", json!("123"), "/code", "invalid", r"must match ^\d{2}$"),
        ("code", json!("١٢"), "/code", "invalid", r"must match ^\d{2}$"),
        ("mail", json!("a@b@c"), "/mail", "invalid", "expected an email address"),
        ("link", json!("/path"), "/link", "invalid", "expected an absolute URI"),
        ("address", json!("1.2.3"), "/address", "invalid", "expected an IP address"),
        ("only_once", json!([1, 1]), "/only_once", "duplicate", "has an item twice"),
        ("by_name", json!({ "a": { "count": 0 } }), "/by_name/a/count", "out_of_range", "must be at least 1"),
        (
            "by_name",
            json!({ "a": { "count": 1 }, "b": { "count": 1 } }),
            "/by_name",
            "wrong_length",
            "must have at most 1 field",
        ),
        ("by_number", json!({ "7": { "count": 0 } }), "/by_number/7/count", "out_of_range", "must be at least 1"),
        (
            "lines",
            json!([{ "count": 1, "below": [{ "count": 0 }] }]),
            "/lines/0/below/0/count",
            "out_of_range",
            "must be at least 1",
        ),
        // serde reads a struct from a list too, in which its fields have no names.
        ("lines", json!([[0, []]]), "/lines/0", "invalid", "expected an object"),
        (
            "payment",
            json!({ "by": "card", "digits": "123" }),
            "/payment/digits",
            "wrong_length",
            "must have exactly 4 characters",
        ),
        ("either", json!([{ "count": 0 }]), "/either/0/count", "out_of_range", "must be at least 1"),
        ("either", json!({ "count": 0 }), "/either/count", "out_of_range", "must be at least 1"),
        ("speed", json!("secret"), "/speed", "invalid", "expected `slow` or `fast`"),
        ("pair", json!([1, { "count": 0 }]), "/pair/1/count", "out_of_range", "must be at least 1"),
        ("other", json!("secret"), "/other", "unknown", "is an unknown field"),
    ] {
        let found = wrong(name, value.clone()).await;
        assert_eq!(found, [(field.into(), code.into(), detail.into())], "{name}: {value}");
    }
}

#[tokio::test]
async fn what_is_at_a_bound_is_taken() {
    for (name, value) in [
        ("amount", json!(10)),
        ("amount", json!(10.0)),
        ("price", json!(0.5)),
        ("price", Value::Null),
        ("wide", json!(LARGEST)),
        ("open", json!(1)),
        ("step", json!(15)),
        ("name", json!("äöü")),
        ("tags", json!(["ab"])),
        ("code", json!("12")),
        ("mail", json!("first.last+tag@mail.example.org")),
        ("link", json!("https://example.org:8080/path?query=1#part")),
        ("address", json!("::1")),
        ("only_once", json!([1, 2])),
        ("by_number", json!({ "7": { "count": 1 } })),
        ("payment", json!({ "by": "card", "digits": "1234" })),
        ("payment", json!({ "by": "invoice" })),
        ("either", json!([{ "count": 1 }])),
        ("speed", json!("fast")),
        ("pair", json!([1, { "count": 1 }])),
    ] {
        assert_eq!(wrong(name, value.clone()).await, [], "{name}: {value}");
    }
}

#[tokio::test]
async fn a_body_with_several_errors_has_all_of_them_in_its_problem() {
    let body = json!({ "amount": 0, "name": "a", "step": "secret", "speed": 1, "more": 1 });
    let problem = order(&body).await.unwrap_err();
    let mut found: Vec<_> = errors(&problem).into_iter().map(|(field, code, _)| (field, code)).collect();
    found.sort_unstable();
    let expected = [
        ("/amount", "out_of_range"),
        ("/more", "unknown"),
        ("/name", "wrong_length"),
        ("/speed", "invalid"),
        ("/step", "invalid"),
    ];
    assert_eq!(found, expected);
    let many = json!({ "amount": 1, "lines": vec![json!({ "count": 0 }); 1000] });
    assert_eq!(order(&many).await.unwrap_err().errors().len(), 32, "a refusal is no echo");
}

#[test]
fn a_draft_has_the_bounds_that_the_app_does_not_check() {
    let (bound, draft) = (hold::<Draft<Line>>(), Draft::<Line>::from(json!({ "count": 0, "below": [{ "count": 0 }] })));
    let mut form = draft.form();
    assert_eq!((bound, of::<Draft<Line>>().is_none()), (true, true), "its extractor takes any JSON");
    form.reject::<()>("count", "none", "must not be none");
    assert!(form.require::<Value>("below").is_some() && form.require::<Value>("count").is_some());
    let problem = form.finish().unwrap_err();
    let found: Vec<_> = errors(&problem).into_iter().map(|(field, code, _)| (field, code)).collect();
    assert_eq!(found, [("/count", "none"), ("/below/0/count", "out_of_range")]);
}

#[test]
fn a_type_without_bounds_is_not_held() {
    #[expect(dead_code, reason = "only its shape counts")]
    #[derive(JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Plain {
        a: u8,
        b: i16,
        c: u32,
        d: Option<i64>,
        e: Vec<usize>,
        f: BTreeMap<u32, (u8, String)>,
        g: Speed,
        h: f64,
    }
    assert!(!hold::<Plain>());
    assert!(!bounded::<Vec<Plain>>());
    assert!(of::<Plain>().is_none());
}

#[test]
#[should_panic(expected = "has `contains`, which is not held on input")]
fn a_keyword_that_cannot_be_held_stops_the_start() {
    #[expect(dead_code, reason = "only its shape counts")]
    #[derive(JsonSchema)]
    struct Listed {
        #[schemars(extend("contains" = { "const": 1 }))]
        items: Vec<u8>,
    }
    hold::<Listed>();
}

#[test]
#[should_panic(expected = "the pattern `(?=a)`, which is no pattern here")]
fn a_pattern_that_cannot_be_held_stops_the_start() {
    #[expect(dead_code, reason = "only its shape counts")]
    #[derive(JsonSchema)]
    struct Ahead {
        #[schemars(regex(pattern = "(?=a)"))]
        name: String,
    }
    hold::<Ahead>();
}
