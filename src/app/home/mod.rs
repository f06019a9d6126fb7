//! `GET /`: a page that asks `/whoami` a few times and shows who answered.
//!
//! The script is a file of its own, so that the content security policy allows nothing inline.

use axum::response::Html;
use http::header;

use crate::chassis::openapi::{Methods, Script, get};

const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The route of the page.
pub fn page() -> Methods {
    get(async || {
        let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
        (headers, Html(include_str!("board.html")))
    })
    .about("The replica board")
}

/// The route of its script.
pub fn script() -> Methods {
    get(async || Script(include_str!("board.js"))).about("The replica board's script")
}
