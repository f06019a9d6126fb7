//! The engine as a package: its public face, what the changelog says of it, and the licences of all dependencies.
//!
//! A package of its own: it needs neither the programs nor the tools of the others.
//!
//! Next: `face`.

mod face;
mod licences;
mod rustdoc;

use std::path::{Path, PathBuf};

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(4).expect("this package is four folders down").to_owned()
}
