//! Merges layers into settings.
//!
//! Each value is parsed by itself first, so that every invalid one is reported with its key and source; then all
//! together; then contradictions are checked. An invalid overlay is ignored and noted, never fatal: it is
//! shared by all revisions, and an old replica that starts again must not fail for a key that only new ones know.
//!
//! Next: [`super::live`].

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use super::{
    AppSettings, Settings, check,
    cli::Options,
    content, file,
    keys::{KeyKind, Keys},
    mismatch::Mismatch,
    otel, port, show,
    value::{Leaf, Value},
    variables::{self, name_of},
};
use crate::process::Environment;
use crate::values::{Origins, SettingError, SettingErrors, Source, origin};

/// Where settings come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// TOML or YAML files; a later one wins.
    pub files: Vec<PathBuf>,
    /// A file of reloadable keys that wins over `files`; it may be missing.
    pub overlay: Option<PathBuf>,
    /// Wins over all files.
    pub environment: Environment,
}

impl Sources {
    /// What the command line names, and `environment`.
    #[must_use]
    pub fn new(options: Options, environment: Environment) -> Self {
        Self { files: options.files, overlay: options.overlay, environment }
    }

    /// Every file that may be read.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().chain(&self.overlay).cloned().chain(content::paths(&self.environment)).collect()
    }
}

/// Valid settings.
#[derive(Clone, Debug)]
pub struct Loaded<A> {
    /// The settings.
    pub settings: Arc<Settings<A>>,
    /// 12 hexadecimal digits: the same on replicas of one build with the same settings, secrets included.
    pub hash: String,
    /// Notes for the operator, one line each: an ignored overlay, and why.
    pub notes: Vec<String>,
    /// Names of the environment that have no effect, one line each: for the start's log.
    pub(crate) remarks: Vec<String>,
    pub(super) origins: Origins,
    /// Every value that was set, later ones on top: what [`combine`] takes apart at a reload.
    pub(super) leaves: Vec<Leaf>,
    pub(super) overlay: Vec<Leaf>,
}

impl<A> Loaded<A> {
    /// Where the value of `key` came from.
    #[must_use]
    pub fn source(&self, key: &str) -> Source {
        origin(&self.origins, key)
    }

    /// The keys that are set, each with where its value came from.
    pub(crate) fn set_by(&self) -> BTreeMap<&str, String> {
        self.origins.iter().map(|(key, source)| (key.as_str(), source.to_string())).collect()
    }
}

/// Reads, checks and composes all layers.
///
/// # Errors
/// All errors, each with key and source, without values.
pub fn load<A: AppSettings>(sources: &Sources) -> Result<Loaded<A>, SettingErrors> {
    load_after(sources, &[])
}

/// The same, where `last` is the overlay that goes on where the new one does not fit.
pub(super) fn load_after<A: AppSettings>(sources: &Sources, last: &[Leaf]) -> Result<Loaded<A>, SettingErrors> {
    let (keys, mut errors) = (Keys::of::<A>(), SettingErrors::default());
    let files: Vec<Leaf> = sources.files.iter().flat_map(|path| from_file(&keys, path, &mut errors)).collect();
    let all_read = errors.is_empty();
    let otel::Standard { leaves: standard, silencing, remarks } = otel::read(&sources.environment, &mut errors);
    let own = content::resolve(&keys, variables::leaves(&sources.environment, &mut errors), &mut errors);
    variables::near_misses(&sources.environment, &keys, &mut errors);
    let port = if all_read { port::leaf(&sources.environment, &[&files, &own], &mut errors) } else { None };
    let port = port.as_slice();
    let base = assemble(&keys, &[port, &files, &standard, &own, &silencing], errors, all_read)?;
    let (overlay, mut notes) = match overlay(&keys, sources) {
        Ok(overlay) => (overlay, Vec::new()),
        Err(errors) => (Vec::new(), ignored(&errors)),
    };
    let with = |overlay: &[Leaf]| {
        assemble(&keys, &[port, &files, overlay, &standard, &own, &silencing], SettingErrors::default(), true)
    };
    if notes.is_empty() {
        match with(&overlay) {
            Ok(assembled) => return Ok(assembled.loaded(notes, remarks, overlay)),
            Err(errors) => notes = ignored(&errors),
        }
    }
    match with(last) {
        Ok(assembled) => Ok(assembled.loaded(notes, remarks, last.to_vec())),
        Err(_) => Ok(base.loaded(notes, remarks, Vec::new())),
    }
}

/// Settings, and where each key came from.
pub(super) struct Assembled<A> {
    pub(super) settings: Settings<A>,
    pub(super) origins: Origins,
    pub(super) leaves: Vec<Leaf>,
}

impl<A: AppSettings> Assembled<A> {
    fn loaded(self, notes: Vec<String>, remarks: Vec<String>, overlay: Vec<Leaf>) -> Loaded<A> {
        let hash = show::hash(&self.settings);
        let Self { settings, origins, leaves } = self;
        Loaded { settings: Arc::new(settings), hash, notes, remarks, origins, leaves, overlay }
    }
}

fn ignored(errors: &SettingErrors) -> Vec<String> {
    errors.iter().map(|error| format!("overlay ignored: {error}")).collect()
}

/// The overlay's values; none where there is no such file.
fn overlay(keys: &Keys, sources: &Sources) -> Result<Vec<Leaf>, SettingErrors> {
    let mut errors = SettingErrors::default();
    let Some(path) = sources.overlay.as_ref().filter(|path| !matches!(path.try_exists(), Ok(false))) else {
        return Ok(Vec::new());
    };
    let leaves = from_file(keys, path, &mut errors);
    for leaf in &leaves {
        let key = leaf.key();
        if keys.place(&leaf.path) != KeyKind::Unknown && !keys.is_reloadable(&leaf.path) {
            let message = "needs a restart; an overlay may contain only reloadable keys";
            errors.push(SettingError::new(key, message).found_in(leaf.source.clone()));
        }
    }
    if errors.is_empty() { Ok(leaves) } else { Err(errors) }
}

fn from_file(keys: &Keys, path: &std::path::Path, errors: &mut SettingErrors) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    match file::read(path) {
        Ok(table) => flatten(keys, &mut Vec::new(), table, &Source::File(path.to_owned()), &mut leaves),
        Err(error) => errors.push(error),
    }
    leaves
}

/// Takes `value` apart down to the keys that the schema knows.
fn flatten(keys: &Keys, path: &mut Vec<String>, value: Value, source: &Source, leaves: &mut Vec<Leaf>) {
    match (keys.place(path), value) {
        (KeyKind::Section, Value::Table(table)) => flatten_table(keys, path, table, source, leaves),
        (KeyKind::Map, Value::Table(table)) if !table.is_empty() => flatten_table(keys, path, table, source, leaves),
        // A YAML section whose keys are all commented out.
        (KeyKind::Section, Value::Null) => {}
        (_, value) => leaves.push(Leaf { path: path.clone(), value, source: source.clone() }),
    }
}

fn flatten_table(
    keys: &Keys,
    path: &mut Vec<String>,
    table: BTreeMap<String, Value>,
    source: &Source,
    leaves: &mut Vec<Leaf>,
) {
    for (part, value) in table {
        path.push(part);
        flatten(keys, path, value, source, leaves);
        path.pop();
    }
}

/// Lays `layers` over each other, later ones on top.
fn assemble<A: AppSettings>(
    keys: &Keys,
    layers: &[&[Leaf]],
    mut errors: SettingErrors,
    complete: bool,
) -> Result<Assembled<A>, SettingErrors> {
    let mut leaves = Vec::new();
    let mut wrong = Vec::new();
    for layer in layers {
        otel::hide(&mut leaves, layer);
        for leaf in *layer {
            if let Some(error) = refusal::<A>(keys, leaf) {
                wrong.push(leaf.key());
                errors.push(error);
            } else {
                leaves.push(leaf.clone());
            }
        }
    }
    let assembled = compose(leaves, &mut errors)?;
    // If a file was not read, an apparent contradiction may not be one.
    if complete {
        errors.absorb(check::all(&assembled.settings), &wrong);
    }
    if errors.is_empty() { Ok(assembled) } else { Err(errors.located(&assembled.origins)) }
}

/// Reads `leaves` together; `errors` are those found before.
fn compose<A: AppSettings>(leaves: Vec<Leaf>, errors: &mut SettingErrors) -> Result<Assembled<A>, SettingErrors> {
    let mut document = Value::Table(BTreeMap::new());
    let mut origins = Origins::new();
    for leaf in &leaves {
        document.set(&leaf.path, leaf.value.clone());
        origins.insert(leaf.key(), leaf.source.clone());
    }
    match read::<Settings<A>>(document) {
        Ok(settings) => Ok(Assembled { settings, origins, leaves }),
        Err((at, mismatch)) => {
            errors.push(SettingError::new(at, whole_message(&mismatch)));
            Err(std::mem::take(errors).located(&origins))
        }
    }
}

/// `running`, with the reloadable part of `new`.
pub(super) fn combine<A: AppSettings>(running: &[Leaf], new: &[Leaf]) -> Result<Assembled<A>, SettingErrors> {
    let keys = Keys::of::<A>();
    let kept = running.iter().filter(|leaf| !keys.is_reloadable(&leaf.path));
    let taken = new.iter().filter(|leaf| keys.is_reloadable(&leaf.path));
    compose(kept.chain(taken).cloned().collect(), &mut SettingErrors::default())
}

/// Why `leaf` is invalid by itself; incomplete values are checked later.
fn refusal<A: AppSettings>(keys: &Keys, leaf: &Leaf) -> Option<SettingError> {
    let (at, message) = match keys.place(&leaf.path) {
        KeyKind::Unknown => (leaf.key(), unknown(keys, leaf)),
        KeyKind::Section => (leaf.key(), section(leaf)),
        KeyKind::Leaf | KeyKind::Map => match read::<Settings<A>>(leaf.alone()) {
            Ok(_) | Err((_, Mismatch::Missing(_))) => return None,
            Err((at, mismatch)) if at.starts_with(&leaf.key()) => (at, message(keys, leaf, &mismatch)),
            Err((_, mismatch)) => (leaf.key(), message(keys, leaf, &mismatch)),
        },
    };
    Some(SettingError::new(at, message).found_in(leaf.source.clone()))
}

fn read<T: serde::de::DeserializeOwned>(document: Value) -> Result<T, (String, Mismatch)> {
    serde_path_to_error::deserialize(document).map_err(|error| (error.path().to_string(), error.into_inner()))
}

fn unknown(keys: &Keys, leaf: &Leaf) -> String {
    match keys.nearest(&leaf.path).or_else(|| keys.nearest(content::key(&leaf.path)?)) {
        Some(key) => format!("unknown key; did you mean {key}?"),
        None => "unknown key".into(),
    }
}

fn section(leaf: &Leaf) -> String {
    match leaf.source {
        Source::Variable(_) => format!("expected a key of this section, as in {}__KEY", name_of(&leaf.key())),
        _ => "expected a section of keys".into(),
    }
}

fn message(keys: &Keys, leaf: &Leaf, mismatch: &Mismatch) -> String {
    match mismatch {
        Mismatch::Foreign(words) if !tells(words, &leaf.value) => words.clone(),
        Mismatch::Foreign(_) => match keys.meaning(&leaf.path) {
            Some(meaning) => format!("rejected; this key means: {meaning}"),
            None => "not accepted".into(),
        },
        mismatch => mismatch.to_string(),
    }
}

/// A foreign message cannot be compared with a single value of the merged document, so it is not shown.
fn whole_message(mismatch: &Mismatch) -> String {
    match mismatch {
        Mismatch::Foreign(_) => "rejected in combination with the other keys".into(),
        mismatch => mismatch.to_string(),
    }
}

/// Whether `words` may repeat a part of `value`.
fn tells(words: &str, value: &Value) -> bool {
    let words = words.to_lowercase();
    let mut parts = words.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
    let texts: Vec<String> =
        value.texts().iter().map(|text| text.to_lowercase()).filter(|text| !text.is_empty()).collect();
    // Parts of one or two letters occur in most texts and reveal nothing, unless they are the whole text.
    parts.any(|part| texts.iter().any(|text| part == text || (part.len() > 2 && text.contains(part))))
        || texts.iter().any(|text| text.len() > 2 && words.contains(text.as_str()))
}
