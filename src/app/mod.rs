//! The app: shipping quotes. A clone replaces this folder.
//!
//! [`router`] has the list of routes. Each feature has its own file and state; there is no global state. What
//! every service needs (timeouts, limits, metrics, logs) is in the chassis.
//!
//! Next: [`quotes`].

pub mod config;
pub mod error;
pub mod home;
pub mod quotes;
pub mod rates;
pub mod whoami;
pub mod work;

pub use config::Settings;

use std::sync::Arc;

use http::{HeaderValue, Method, header};
use tower_http::cors::CorsLayer;

use self::rates::Book;
use chassis::{Chassis, health::DuplicateCheck, router::Router, upstream, wsgi};

/// Why the app cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The URL of the rates cannot be used.
    #[error("app.rates_url: {0}")]
    RatesUrl(#[from] upstream::UpstreamError),
    /// A metric's name is taken.
    #[error("registering the app's metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A health check's name is taken.
    #[error("registering the app's health checks: {0}")]
    Check(#[from] DuplicateCheck),
    /// The Python application cannot be served.
    #[error("app.wsgi: {0}")]
    Wsgi(#[from] wsgi::MountError), // Python only: delete it if you have none.
}

/// The API's title and description, for `/openapi.json` and `/docs`. Change this first.
const ABOUT: &str = "Shipping quotes\n\nWhat a parcel costs, by weight, size, lane and speed.";

/// The list of routes.
///
/// # Errors
/// When the settings do not fit, or a name is taken.
pub async fn router(settings: &Settings, chassis: &Chassis) -> Result<Router, StartError> {
    // Once for all upstreams: it registers their metrics.
    let upstreams = upstream::Upstreams::new(&chassis.registry, chassis.propagation.clone())?;
    let rates = Arc::new(Book::new(settings, &upstreams)?);
    rates::watch(&rates, settings, chassis)?;
    let cors = cross_origin(&settings.cors_origins);

    let router = Router::new()
        .route("/", home::page())
        .route("/board.css", home::style())
        .route("/board.js", home::script())
        .route("/whoami", whoami::tell(chassis))
        .route("/v1/quotes", quotes::create(&rates).cors(cors.clone()))
        .route("/v1/rates", rates::list(&rates).cors(cors))
        // CPU-bound, so it runs where it cannot block other routes.
        .route("/v1/work", work::perform())
        .cpu_bound()
        .documented(ABOUT, &chassis.identity);
    // Python only: `Ok(router)` if you have none.
    Ok(wsgi::mount(router, settings.wsgi.as_deref(), &settings.python, chassis)?)
}

/// Allows pages of other origins to call a route; without origins no headers are added.
fn cross_origin(origins: &[String]) -> Option<CorsLayer> {
    let origins: Vec<_> = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    // Extend both lists with PUT, DELETE or authorization as routes need them.
    let cors = CorsLayer::new().allow_methods([Method::GET, Method::POST]).allow_headers([header::CONTENT_TYPE]);
    (!origins.is_empty()).then(|| cors.allow_origin(origins))
}
