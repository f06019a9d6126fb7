//! Short links in Postgres: a team makes them with an API key or a token, everybody follows them.
//!
//! Next: [`settings`].

mod database;
mod error;
mod imports;
mod jobs;
mod links;
mod settings;

pub use settings::Settings;

use std::{error::Error, time::Duration};

use chassis::{
    Chassis,
    config::Size,
    identity::{ApiKeys, Oidc},
    openapi::{get, post},
    program::Service,
    router::Router,
    upstream::Upstreams,
};
use tower_http::services::ServeDir;

/// Its name and version.
pub const SERVICE: Service = chassis::service!();

const ABOUT: &str = "Short links\n\nA link is made with a key or a token. Anybody can follow it.";

/// The routes, and what they need.
pub async fn router(settings: &Settings, chassis: &Chassis) -> Result<Router, Box<dyn Error + Send + Sync>> {
    let database = database::open(settings, chassis)?;
    let upstreams = Upstreams::new(&chassis.registry, chassis.propagation.clone())?;
    let client = |url| upstreams.client("reputation", url, &settings.reputation);
    let reputation = settings.reputation_url.as_deref().map(client).transpose()?;
    let events = jobs::start(settings, &database, &upstreams, chassis)?;
    let mut guard = ApiKeys::new("api_key", &settings.api_keys, &chassis.registry)?.guard();
    if settings.login.is_set() {
        guard = guard.or(Oidc::new("login", &settings.login, &upstreams, &chassis.checks)?.require(["links"]));
    }

    let v1 = Router::new()
        .route("/links", get(links::list).about("Lists links").post(links::create).about("Makes a link"))
        .route("/links/{id}", get(links::read).about("Shows a link").delete(links::remove).about("Deletes a link"))
        // An export has 100,000 lines at most, of 200 bytes.
        .route(
            "/imports",
            post(imports::create)
                .about("Imports links\n\nEach part is a CSV file with the columns `url` and `tags`; spaces separate the tags.")
                .max_body(Size::mib(20))
                .request_timeout(Duration::from_secs(30)),
        )
        .protected(guard)
        .cors(settings.cors());

    Ok(Router::new()
        .nest("/v1", v1)
        .route("/{slug}", get(links::follow).about("Follows a link"))
        .nest_service("/static", ServeDir::new(&settings.public_dir))
        .with_state(links::Links { database, events, reputation })
        .documented(ABOUT, &chassis.identity))
}
