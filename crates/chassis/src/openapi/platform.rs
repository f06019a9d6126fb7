//! The parts shared by every document: the middleware's responses, and the headers.
//!
//! Fixed parts are JSON files: easier to read, and smaller in the program than code that builds them.
//!
//! Next: [`mod@super::problems`].

use serde_json::Value;

use crate::problem::Code;

/// The middleware's responses (see [`crate::middleware`]).
pub(super) const ANYWHERE: [Code; 8] = [
    Code::RequestTimeout,
    Code::BodyTooLarge,
    Code::UriTooLong,
    Code::HeadTooLarge,
    Code::InternalError,
    Code::Overloaded,
    Code::Unavailable,
    Code::DeadlineExceeded,
];

/// A document without paths, schemas and responses. Its description applies to all operations.
pub(super) fn document() -> Value {
    fixed(include_str!("document.json"))
}

/// A response with a problem, without its status and its codes.
pub(super) fn problem() -> Value {
    fixed(include_str!("problem.json"))
}

fn fixed(text: &str) -> Value {
    serde_json::from_str(text).expect("a file of the program in JSON")
}
