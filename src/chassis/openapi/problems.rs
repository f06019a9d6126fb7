//! Problems as responses: one component for each status, with the platform's codes, each with an example.
//!
//! Next: [`mod@super::page`].

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Map, Value};

use super::platform;
use crate::chassis::problem::{CONTENT_TYPE, Code, FieldError};

/// `components.responses`: every code of the platform, by status.
pub(super) fn components() -> Map<String, Value> {
    let statuses: BTreeSet<u16> = Code::ALL.iter().map(|code| code.status().as_u16()).collect();
    statuses.into_iter().map(|status| (name(status), describe(status, &[]))).collect()
}

/// A response of an operation: the component, or one of its own where the app has codes of its own.
pub(super) fn response(status: u16, codes: &BTreeSet<&'static str>) -> Value {
    let own: Vec<&str> = codes.iter().copied().filter(|code| of(status).all(|known| known.as_str() != *code)).collect();
    if own.is_empty() { super::operation::reference("responses", &name(status)) } else { describe(status, &own) }
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
    let lines: Vec<String> = codes.iter().map(|(code, detail)| line(code, *detail)).collect();
    let mut response = platform::problem();
    response["description"] = format!("{}\n\n{}", phrase(status), lines.join("\n")).into();
    if let Some((name, reference)) = header(status) {
        response["headers"][name]["$ref"] = reference.into();
    }
    let content = &mut response["content"][CONTENT_TYPE];
    let narrowed = &mut content["schema"]["allOf"][1]["properties"];
    narrowed["status"]["const"] = status.into();
    narrowed["code"]["enum"] = codes.iter().map(|(code, _)| *code).collect();
    for (code, detail) in codes {
        content["examples"][code]["value"] = example(status, code, detail);
    }
    response
}

fn line(code: &str, detail: Option<&str>) -> String {
    detail.map_or_else(|| format!("- `{code}`"), |detail| format!("- `{code}`: {detail}"))
}

/// The header that comes with the problems of a status.
fn header(status: u16) -> Option<(&'static str, &'static str)> {
    match status {
        405 => Some(("allow", "#/components/headers/Allow")),
        503 => Some(("retry-after", "#/components/headers/RetryAfter")),
        _ => None,
    }
}

fn example(status: u16, code: &str, detail: Option<&str>) -> Value {
    let mut example = Value::Null;
    example["type"] = "about:blank".into();
    example["title"] = phrase(status).into();
    example["status"] = status.into();
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
