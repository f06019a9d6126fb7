//! Problems as responses: one component for each status, with the platform's codes, each with an example.
//!
//! Next: [`mod@super::page`].

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::chassis::problem::{CONTENT_TYPE, Code};

/// `components.responses`: every code of the platform, by status.
pub(super) fn components() -> Map<String, Value> {
    let statuses: BTreeSet<u16> = Code::ALL.iter().map(|code| code.status().as_u16()).collect();
    statuses.into_iter().map(|status| (name(status), describe(status, &[]))).collect()
}

/// A response of an operation: the component, or one of its own where the app has codes of its own.
pub(super) fn response(status: u16, codes: &BTreeSet<&'static str>) -> Value {
    let own: Vec<&str> = codes.iter().copied().filter(|code| of(status).all(|known| known.as_str() != *code)).collect();
    if own.is_empty() {
        json!({ "$ref": format!("#/components/responses/{}", name(status)) })
    } else {
        describe(status, &own)
    }
}

fn of(status: u16) -> impl Iterator<Item = Code> {
    Code::ALL.iter().copied().filter(move |code| code.status().as_u16() == status)
}

/// The status's phrase without spaces: `ServiceUnavailable`.
fn name(status: u16) -> String {
    phrase(status).chars().filter(char::is_ascii_alphanumeric).collect()
}

fn phrase(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error")
}

/// The platform's codes of `status`, and `own` ones.
fn describe(status: u16, own: &[&str]) -> Value {
    let platform = of(status).map(|code| (code.as_str(), code.detail()));
    let codes: Vec<(&str, Option<&str>)> = platform.chain(own.iter().map(|code| (*code, None))).collect();
    let names: Vec<&str> = codes.iter().map(|(code, _)| *code).collect();
    let lines: Vec<String> = codes.iter().map(|(code, detail)| line(code, *detail)).collect();
    let examples: Map<String, Value> = codes
        .iter()
        .map(|(code, detail)| ((*code).to_owned(), json!({ "value": example(status, code, *detail) })))
        .collect();
    let narrowed = json!({ "properties": { "status": { "const": status }, "code": { "enum": names } } });
    let schema = json!({ "allOf": [{ "$ref": "#/components/schemas/Problem" }, narrowed] });
    json!({
        "description": format!("{}\n\n{}", phrase(status), lines.join("\n")),
        "headers": headers(status),
        "content": { CONTENT_TYPE: { "schema": schema, "examples": examples } },
    })
}

fn line(code: &str, detail: Option<&str>) -> String {
    detail.map_or_else(|| format!("- `{code}`"), |detail| format!("- `{code}`: {detail}"))
}

fn headers(status: u16) -> Value {
    let mut headers = json!({ "x-request-id": { "$ref": "#/components/headers/RequestId" } });
    match status {
        405 => headers["allow"] = json!({ "$ref": "#/components/headers/Allow" }),
        503 => headers["retry-after"] = json!({ "$ref": "#/components/headers/RetryAfter" }),
        _ => {}
    }
    headers
}

fn example(status: u16, code: &str, detail: Option<&str>) -> Value {
    let mut example = json!({ "type": "about:blank", "title": phrase(status), "status": status, "code": code });
    if let Some(detail) = detail {
        example["detail"] = detail.into();
    }
    example["request_id"] = "6f1ed002ab5595859014ebf0951522d9".into();
    if code == Code::InvalidFields.as_str() {
        example["errors"] = json!([{ "field": "/weight_g", "detail": "is required", "code": "required" }]);
    }
    example
}
