//! Pages in a real browser. Their screenshots are in `target/tmp/screenshots`.
//!
//! Next: `docs`, which is the same for every app; then `board`, the sample app's.

mod board;
mod docs;

use std::time::Duration;

/// How long a page may take to show what it has to.
const SOON: Duration = Duration::from_secs(20);
