//! Links: made, listed, shown and deleted below `/v1/links`, followed at `/{slug}`.
//!
//! Next: [`crate::imports`].

use axum::{extract::State, response::Redirect};
use chassis::{
    postgres::Database,
    problem::{FieldError, Json, Path, Problem, Query},
    upstream::Upstream,
};
use chrono::{DateTime, Utc};
use http::{HeaderName, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use crate::{
    error::{Error, no_such_link},
    jobs::Events,
};

/// A host by its name, and what else is ASCII; the rest is percent-encoded.
pub(crate) const URL: &str = r"^https?://[A-Za-z0-9][A-Za-z0-9.\-]{0,252}(:[0-9]{1,5})?(/[!-~]*)?$";
pub(crate) const TAG: &str = r"^[a-z0-9\-]{1,32}$";

#[derive(Clone)]
pub(crate) struct Links {
    pub(crate) database: Database,
    pub(crate) events: Events,
    /// Says whether a URL may be linked to; without it each may.
    pub(crate) reputation: Option<Upstream>,
}

/// A link to make.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct New {
    /// Where it leads.
    #[schemars(length(max = 2048), regex(pattern = URL))]
    url: String,
    #[serde(default)]
    #[schemars(length(max = 10))]
    tags: Vec<Tag>,
    /// How many days it can be followed: 30 unless it says otherwise.
    #[schemars(range(min = 1, max = 3650))]
    days: Option<i32>,
}

/// A word to find links by.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Tag(#[schemars(regex(pattern = TAG))] String);

#[derive(Serialize, JsonSchema, FromRow)]
pub(crate) struct Link {
    pub(crate) id: i64,
    /// The path that leads to `url`.
    slug: String,
    url: String,
    tags: Vec<String>,
    /// How often it was followed.
    hits: i64,
    expires_at: DateTime<Utc>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    /// Only links with all of these.
    #[serde(default)]
    #[schemars(length(max = 10))]
    tag: Vec<Tag>,
    /// The last id of the page before.
    #[serde(default)]
    #[schemars(range(min = 0))]
    after: i64,
    /// At most so many: 50 unless it says otherwise.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<i64>,
}

type Created = (StatusCode, [(HeaderName, String); 1], Json<Link>);

pub(crate) async fn create(State(links): State<Links>, Json(new): Json<New>) -> Result<Created, Error> {
    require_reputable(&links, &new.url).await?;
    let insert =
        "INSERT INTO links (url, tags, expires_at) VALUES ($1, $2, now() + make_interval(days => $3)) RETURNING *";
    let insert = sqlx::query_as(insert).bind(new.url).bind(texts(new.tags)).bind(new.days.unwrap_or(30));
    let mut transaction = links.database.begin().await?;
    let link: Link = insert.fetch_one(&mut *transaction).await?;
    links.events.created(&mut transaction, &link).await?;
    transaction.commit().await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/v1/links/{}", link.id))], Json(link)))
}

pub(crate) async fn list(State(links): State<Links>, Query(page): Query<Page>) -> Result<Json<Vec<Link>>, Error> {
    let select = "SELECT * FROM links WHERE tags @> $1 AND id > $2 AND expires_at > now() ORDER BY id LIMIT $3";
    let select = sqlx::query_as(select).bind(texts(page.tag)).bind(page.after).bind(page.limit.unwrap_or(50));
    Ok(Json(select.fetch_all(&links.database).await?))
}

pub(crate) async fn read(State(links): State<Links>, Path(id): Path<i64>) -> Result<Json<Link>, Error> {
    let select = sqlx::query_as("SELECT * FROM links WHERE id = $1 AND expires_at > now()").bind(id);
    Ok(Json(select.fetch_optional(&links.database).await?.ok_or_else(no_such_link)?))
}

pub(crate) async fn remove(State(links): State<Links>, Path(id): Path<i64>) -> Result<StatusCode, Error> {
    let deleted = sqlx::query("DELETE FROM links WHERE id = $1").bind(id).execute(&links.database).await?;
    if deleted.rows_affected() > 0 { Ok(StatusCode::NO_CONTENT) } else { Err(no_such_link()) }
}

/// The path of a link.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Slug(#[schemars(regex(pattern = r"^[a-z0-9]{1,32}$"))] String);

pub(crate) async fn follow(State(links): State<Links>, Path(Slug(slug)): Path<Slug>) -> Result<Redirect, Error> {
    let update = "UPDATE links SET hits = hits + 1 WHERE slug = $1 AND expires_at > now() RETURNING url";
    let url: Option<String> = sqlx::query_scalar(update).bind(slug).fetch_optional(&links.database).await?;
    Ok(Redirect::temporary(&url.ok_or_else(no_such_link)?))
}

fn texts(tags: Vec<Tag>) -> Vec<String> {
    tags.into_iter().map(|Tag(text)| text).collect()
}

#[derive(Deserialize)]
struct Verdict {
    allowed: bool,
}

async fn require_reputable(links: &Links, url: &str) -> Result<(), Error> {
    let Some(service) = &links.reputation else { return Ok(()) };
    let verdict: Verdict = service.post_json("/v1/verdicts", &serde_json::json!({ "url": url })).await?;
    let refused = || FieldError::new("/url", "not_allowed", "This URL may not be linked to.");
    if verdict.allowed { Ok(()) } else { Err(Problem::invalid_fields(vec![refused()]).into()) }
}
