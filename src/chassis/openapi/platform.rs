//! What is the same in every document: the middleware's answers, the headers, and the chassis's own routes.
//!
//! Next: [`mod@super::problems`].

use serde_json::{Value, json};

use super::Operation;
use crate::chassis::problem::Code;

/// What the middleware answers in front of any handler (see [`crate::chassis::middleware`]).
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

/// What holds for all operations, for the document's own description.
pub(super) const RULES: &str = "Every answer carries `x-request-id`. Errors are `application/problem+json` (RFC 9457) \
with a stable `code` for programs. A path that is not listed answers 404 `not_found`; a method that is not listed answers 405 \
`method_not_allowed`, and `Allow` lists those of the path.";

/// `GET /healthz`, which the replica adds to the app's routes.
pub(super) const HEALTHZ: &str = "Whether this replica takes requests\n\nFor balancers that can probe no other port. It is \
never refused for load.";

pub(super) fn healthz(operation: &mut Operation<'_>) {
    let verbose = json!({ "type": "string", "description": "Lists the checks, also when all pass." });
    operation.parameter("query", "verbose", verbose, false);
    let exclude = json!({
        "type": "array", "items": { "type": "string" },
        "description": "Names of checks that do not count; may repeat.",
    });
    operation.parameter("query", "exclude", exclude, false);
    operation.answers_text("text/plain");
    operation.with_status(http::StatusCode::SERVICE_UNAVAILABLE, |operation| operation.answers_text("text/plain"));
}

/// `components.headers`.
pub(super) fn headers() -> Value {
    let header = |description: &str, schema: Value| json!({ "description": description, "schema": schema });
    json!({
        "RequestId": {
            "description": "The request's id: the caller's where it was valid, else a new one. Log lines and problems name it.",
            "required": true,
            "schema": { "type": "string", "pattern": "^[A-Za-z0-9_.:+/=@-]{1,128}$" },
        },
        "RetryAfter": header("Whole seconds to wait before the next try.", json!({ "type": "integer", "minimum": 1, "maximum": 3600 })),
        "Allow": header("The methods of this path.", json!({ "type": "string" })),
    })
}

/// `components.parameters`.
pub(super) fn parameters() -> Value {
    json!({
        "RequestId": {
            "name": "x-request-id", "in": "header",
            "description": "An id of the caller's own: 1 to 128 letters, digits and `-_.:+/=@`. Any other is replaced.",
            "schema": { "type": "string" },
        },
    })
}
