//! Errors in the settings, all reported at once.
//!
//! An error names the key, where its value came from and what was expected; it never repeats the value, which may be
//! a secret in the wrong place.
//!
//! Next: [`super::features`].

use std::{collections::BTreeMap, fmt, path::PathBuf};

/// Where a value came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Not set.
    #[default]
    Default,
    /// A settings file, as it was named on the command line.
    File(PathBuf),
    /// An environment variable, by its name.
    Variable(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("built-in default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// Keys by name, and where each came from; a key that is not in it has its built-in default.
pub(crate) type Origins = BTreeMap<String, Source>;

/// A section of the settings that can be validated; a service implements it for its own too.
pub trait Check {
    /// Adds what does not fit to `errors`; keys are relative to `self`, joined by dots.
    fn check(&self, errors: &mut SettingErrors);
}

/// An app without settings has nothing to check.
impl Check for () {
    fn check(&self, _: &mut SettingErrors) {}
}

/// One error, shown as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    keys: Vec<String>,
    sources: Vec<Source>,
    message: String,
}

impl SettingError {
    /// An invalid value of `key`; `message` says what was expected, never the value.
    #[must_use]
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { keys: vec![key.into()], sources: Vec::new(), message: message.into() }
    }

    /// Conflicting values of two or more `keys`.
    #[must_use]
    pub fn between<K: Into<String>>(keys: impl IntoIterator<Item = K>, message: impl Into<String>) -> Self {
        Self { keys: keys.into_iter().map(Into::into).collect(), sources: Vec::new(), message: message.into() }
    }

    /// A source that cannot be used at all.
    pub(crate) fn of_source(source: Source, message: impl Into<String>) -> Self {
        Self { keys: Vec::new(), sources: vec![source], message: message.into() }
    }

    /// The same, from `source`.
    #[must_use]
    pub(crate) fn found_in(mut self, source: Source) -> Self {
        self.sources = vec![source];
        self
    }

    /// The keys concerned; empty if a whole source cannot be used.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    fn locate(&mut self, origins: &Origins) {
        if self.sources.is_empty() {
            self.sources = self.keys.iter().map(|key| origin(origins, key)).collect();
        }
    }
}

/// The origin of `key`, or of something in it, or of the list or table that it is in.
pub(crate) fn origin(origins: &Origins, key: &str) -> Source {
    let inside = format!("{key}.");
    if let Some((_, source)) = origins.iter().find(|(name, _)| name.starts_with(&inside)) {
        return source.clone();
    }
    let mut key = key;
    loop {
        if let Some(source) = origins.get(key) {
            return source.clone();
        }
        match key.rfind(['.', '[']) {
            Some(end) => key = &key[..end],
            None => return Source::Default,
        }
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.keys.as_slice(), self.sources.as_slice()) {
            ([], [source]) => write!(f, "{source}: {}", self.message),
            ([key], [source]) => write!(f, "{key}: {} ({source})", self.message),
            (keys, sources) => {
                write!(f, "{}: {}", keys.join(", "), self.message)?;
                for (index, (key, source)) in keys.iter().zip(sources).enumerate() {
                    write!(f, "{}{key}: {source}", if index == 0 { " (" } else { "; " })?;
                }
                if sources.is_empty() { Ok(()) } else { f.write_str(")") }
            }
        }
    }
}

/// All errors, shown as one line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingErrors(Vec<SettingError>);

impl SettingErrors {
    /// Adds one.
    pub fn push(&mut self, error: SettingError) {
        if !self.0.contains(&error) {
            self.0.push(error);
        }
    }

    /// Adds an error for `key` unless `holds`; `message` says what was expected, never the value.
    pub fn require(&mut self, holds: bool, key: &str, message: &str) {
        if !holds {
            self.push(SettingError::new(key, message));
        }
    }

    /// Whether there are no errors.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// One after another, in the order in which they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, SettingError> {
        self.0.iter()
    }

    /// Takes those of `inner`, whose keys are below `prefix`.
    pub(crate) fn nest(&mut self, prefix: &str, inner: Self) {
        for mut error in inner.0 {
            error.keys.iter_mut().for_each(|key| *key = format!("{prefix}.{key}"));
            self.push(error);
        }
    }

    /// Adds the errors of `found`, except for keys in `known`, whose cause is already reported.
    pub(crate) fn absorb(&mut self, found: Self, known: &[String]) {
        let caused = |error: &SettingError| error.keys.iter().any(|key| known.contains(key));
        found.0.into_iter().filter(|error| !caused(error)).for_each(|error| self.push(error));
    }

    /// Fills in where the keys came from.
    #[must_use]
    pub(crate) fn located(mut self, origins: &Origins) -> Self {
        self.0.iter_mut().for_each(|error| error.locate(origins));
        self
    }

    /// Adds `remark` to each.
    #[must_use]
    pub(crate) fn remarked(mut self, remark: &str) -> Self {
        self.0.iter_mut().for_each(|error| error.message += remark);
        self
    }
}

impl<'a> IntoIterator for &'a SettingErrors {
    type Item = &'a SettingError;
    type IntoIter = std::slice::Iter<'a, SettingError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for SettingErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingErrors {}
