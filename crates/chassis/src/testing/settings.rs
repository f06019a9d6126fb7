//! The settings without which a service does not start, in a file of its tests (`tests/app.env`).
//!
//! Next: [`crate::config`].

use std::{fs, path::Path};

use crate::config::{self, AppSettings, Environment, Settings, Sources, cli::Options};

/// Name and value of each line `NAME=value` of the file; empty lines and those that begin with `#` are left out.
///
/// # Panics
/// When the file cannot be read, or has any other line.
#[must_use]
pub fn read(file: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let pair = |line: &str| match line.split_once('=') {
        Some((name, value)) if name.starts_with("APP__") => (name.to_owned(), value.to_owned()),
        _ => panic!("{}: expected APP__SECTION__KEY=VALUE, found {line:?}", file.display()),
    };
    lines.map(pair).collect()
}

/// The same, and `own` after them, so that these win.
///
/// # Panics
/// As [`read`].
#[must_use]
pub fn read_with<N: Into<String>, V: Into<String>>(
    file: &Path,
    own: impl IntoIterator<Item = (N, V)>,
) -> Vec<(String, String)> {
    let own = own.into_iter().map(|(name, value)| (name.into(), value.into()));
    read(file).into_iter().chain(own).collect()
}

/// The settings of a start with the file's lines as its environment.
///
/// # Panics
/// When the file cannot be read, or the settings do not fit.
#[must_use]
pub fn loaded<A: AppSettings>(file: &Path) -> Settings<A> {
    let environment = read(file).into_iter().collect::<Environment>();
    match config::load(&Sources::new(Options::default(), environment)) {
        Ok(loaded) => Settings::clone(&loaded.settings),
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{} lacks a setting:\n{}", file.display(), lines.join("\n"))
        }
    }
}
