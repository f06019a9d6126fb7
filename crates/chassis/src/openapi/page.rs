//! `/openapi.json`, and `/docs`, a page that shows it and sends requests.
//!
//! The page is three small files of our own: existing viewers are larger than the program's size budget, and none
//! works under a policy that forbids inline code. It has no build step and contacts no other host.
//!
//! Next: [`super::document`].

use std::{
    convert::Infallible,
    fmt::Display,
    sync::{Arc, OnceLock},
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    response::{Html, IntoResponse, Response},
};
use http::{HeaderName, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::runtime::Builder;
use tower::ServiceExt;
use tower_http::compression::CompressionLayer;

use super::{Described, Methods, Operation, Output, Script, Style, document::Document, get};
use crate::telemetry::Identity;

/// No inline code, no other hosts, and no framing.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where the document is served.
const PATH: &str = "/openapi.json";

/// Headers, and what comes behind them.
type With<const N: usize, T> = ([(HeaderName, &'static str); N], T);

/// The routes that show the description of all routes, which is filled in once they are known.
pub(crate) struct Page(Arc<Shared>);

impl Page {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Each path with its methods.
    pub(crate) fn routes(&self) -> [(&'static str, Methods<()>); 4] {
        let document = get(document).with_state(Arc::clone(&self.0));
        let routes = [(PATH, document), ("/docs", get(page)), ("/docs.css", get(style)), ("/docs.js", get(script))];
        // A client calls what the app does, not what shows it.
        routes.map(|(path, methods)| (path, methods.layer(gzip()).undescribed()))
    }

    /// Fills the description in: `about` is the API's title and, below an empty line, its description in Markdown.
    ///
    /// # Panics
    /// When it is done twice, or one name means two security schemes.
    pub(crate) fn describe(self, about: &'static str, identity: &Identity, routes: Vec<(String, Vec<Described>)>) {
        let document = Document::new(about, identity.version.clone(), routes);
        self.0.document.set(document).expect("a document is set once");
    }
}

/// Gzip alone: an encoding that the app enables for its own routes changes nothing here.
fn gzip() -> CompressionLayer {
    CompressionLayer::new().no_br().no_deflate().no_zstd()
}

/// The document, and its text from the first request on.
#[derive(Debug, Default)]
struct Shared {
    document: OnceLock<Document>,
    text: OnceLock<Bytes>,
}

impl Shared {
    fn text(&self) -> Bytes {
        let render = || self.document.get().map(Document::render).unwrap_or_default().to_string().into();
        self.text.get_or_init(render).clone()
    }
}

/// The document's text.
struct Text(Bytes);

impl IntoResponse for Text {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], self.0).into_response()
    }
}

impl Output for Text {
    fn describe(operation: &mut Operation<'_>) {
        operation.answers::<serde_json::Map<String, Value>>("application/json");
    }
}

async fn document(State(shared): State<Arc<Shared>>) -> Text {
    Text(shared.text())
}

async fn page() -> With<3, Html<&'static str>> {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, Html(include_str!("page/docs.html")))
}

async fn style() -> Style {
    Style(include_str!("page/docs.css"))
}

async fn script() -> Script {
    Script(include_str!("page/docs.js"))
}

/// The document that a router serves, for a program that prints it; `routes` runs inside a runtime, as at a start.
///
/// # Errors
/// When there are no routes, or the router is not `documented`.
pub(crate) fn of<E: Display>(routes: impl AsyncFnOnce() -> Result<axum::Router, E>) -> Result<Value, String> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let app = routes().await.map_err(|error| error.to_string())?;
        let request = Request::get(PATH).body(Body::empty()).map_err(|error| error.to_string())?;
        let response = app.oneshot(request).await.map_err(|never: Infallible| never.to_string())?;
        let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        serde_json::from_slice(&body).map_err(|_| format!("nothing at {PATH}: the routes are not `documented`"))
    })
}
