//! Links from CSV files, as other shorteners export them.
//!
//! Next: [`crate::error`].

use std::sync::LazyLock;

use axum::extract::{Multipart, State};
use chassis::problem::Json;
use regex_lite::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    links::{self, Links},
};

static URL: LazyLock<Regex> = LazyLock::new(|| Regex::new(links::URL).expect("a pattern"));
static TAG: LazyLock<Regex> = LazyLock::new(|| Regex::new(links::TAG).expect("a pattern"));

/// What became of the lines.
#[derive(Default, Serialize, JsonSchema)]
pub(crate) struct Import {
    imported: usize,
    /// How many are no links; none of them is imported.
    refused: usize,
}

#[derive(Deserialize)]
struct Line {
    url: String,
    #[serde(default)]
    tags: String,
}

impl Line {
    /// As in [`links::New`].
    fn is_link(&self) -> bool {
        self.url.len() <= 2048
            && URL.is_match(&self.url)
            && self.tags.split_terminator(' ').all(|tag| TAG.is_match(tag))
    }
}

pub(crate) async fn create(State(links): State<Links>, mut upload: Multipart) -> Result<Json<Import>, Error> {
    let mut import = Import::default();
    while let Some(part) = upload.next_field().await? {
        let file = part.bytes().await?;
        let lines: Vec<Option<Line>> = csv::Reader::from_reader(&*file).deserialize().map(Result::ok).collect();
        let count = lines.len();
        let links_only = lines.into_iter().flatten().filter(Line::is_link);
        let (urls, tags): (Vec<_>, Vec<_>) = links_only.map(|line| (line.url, line.tags)).unzip();
        import.imported += urls.len();
        import.refused += count - urls.len();
        let insert = "INSERT INTO links (url, tags)
            SELECT url, string_to_array(tags, ' ') FROM unnest($1::text[], $2::text[]) AS line (url, tags)";
        sqlx::query(insert).bind(urls).bind(tags).execute(&links.database).await?;
    }
    Ok(Json(import))
}
