//! `GET /`: the replica board, a page that requests `/whoami` at a steady rate and shows which replica responds.
//!
//! Behind a balancer it shows how requests are distributed, and what restarts and new replicas change. Script and style
//! are separate files, so that the content security policy can forbid inline code; no build step. Delete it together with
//! [`super::whoami`].

use axum::response::Html;
use http::header;

use chassis::openapi::{Methods, Script, Style, get};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The route of the page.
pub fn page() -> Methods {
    get(async || {
        let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
        (headers, Html(include_str!("board.html")))
    })
    .undescribed()
}

/// The route of its style.
pub fn style() -> Methods {
    get(async || Style(include_str!("board.css"))).undescribed()
}

/// The route of its script.
pub fn script() -> Methods {
    get(async || Script(include_str!("board.js"))).undescribed()
}
