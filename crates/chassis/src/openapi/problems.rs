//! Problems as responses: one component for each status, with the platform's codes, each with an example.
//!
//! Next: [`mod@super::page`].

use http::StatusCode;
use serde_json::{Map, Value};

use super::{operation::reference, platform};
use crate::problem::{CONTENT_TYPE, Code, FieldError};

/// `components.responses`: every code of the platform, by status.
pub(super) fn components() -> Map<String, Value> {
    let mut components = Map::new();
    for status in Code::ALL.iter().map(|code| code.status()) {
        components.entry(name(status)).or_insert_with(|| describe(status, &[]));
    }
    components
}

/// A response of an operation: the component, or one of its own where the app has codes of its own.
pub(super) fn response(status: StatusCode, codes: &[&str]) -> Value {
    let mut own: Vec<&str> = Vec::new();
    for code in codes {
        if !own.contains(code) && of(status).all(|known| known.as_str() != *code) {
            own.push(code);
        }
    }
    if own.is_empty() { reference("responses", &name(status)) } else { describe(status, &own) }
}

fn of(status: StatusCode) -> impl Iterator<Item = Code> {
    Code::ALL.iter().copied().filter(move |code| code.status() == status)
}

/// The status's phrase without spaces: `ServiceUnavailable`.
fn name(status: StatusCode) -> String {
    phrase(status).chars().filter(char::is_ascii_alphanumeric).collect()
}

fn phrase(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}

/// The platform's codes of `status`, and `own` ones.
fn describe(status: StatusCode, own: &[&str]) -> Value {
    let platform = of(status).map(|code| (code.as_str(), code.detail()));
    let codes: Vec<(&str, Option<&str>)> = platform.chain(own.iter().map(|code| (*code, None))).collect();
    let mut response = platform::problem();
    let mut description = format!("{}\n", phrase(status));
    for (code, detail) in &codes {
        description += &line(code, *detail);
    }
    response["description"] = description.into();
    if let Some((name, component)) = header(status) {
        response["headers"][name] = reference("headers", component);
    }
    let content = &mut response["content"][CONTENT_TYPE];
    let narrowed = &mut content["schema"]["allOf"][1]["properties"];
    narrowed["status"]["const"] = status.as_u16().into();
    narrowed["code"]["enum"] = codes.iter().map(|(code, _)| *code).collect();
    for (code, detail) in codes {
        content["examples"][code]["value"] = example(status, code, detail);
    }
    response
}

fn line(code: &str, detail: Option<&str>) -> String {
    detail.map_or_else(|| format!("\n- `{code}`"), |detail| format!("\n- `{code}`: {detail}"))
}

/// The header that comes with the problems of a status.
fn header(status: StatusCode) -> Option<(&'static str, &'static str)> {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => Some(("allow", "Allow")),
        StatusCode::UNAUTHORIZED => Some(("www-authenticate", "WwwAuthenticate")),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Some(("retry-after", "RetryAfter")),
        _ => None,
    }
}

fn example(status: StatusCode, code: &str, detail: Option<&str>) -> Value {
    let mut example = Value::Null;
    example["type"] = "about:blank".into();
    example["title"] = phrase(status).into();
    example["status"] = status.as_u16().into();
    example["code"] = code.into();
    if let Some(detail) = detail {
        example["detail"] = detail.into();
    }
    example["request_id"] = "6f1ed002ab5595859014ebf0951522d9".into();
    if code == Code::InvalidFields.as_str() {
        let error = FieldError::new("/name", "required", "is required");
        example["errors"] = serde_json::to_value([error]).unwrap_or_default();
    }
    example
}
