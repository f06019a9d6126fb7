//! Values from files that variables name: `APP__APP__TOKEN__FILE=/run/secrets/token` sets `app.token`.
//!
//! For secrets, which do not belong in an environment that child processes and dumps expose. The file is read at
//! each load, so a secret that is rotated is seen as a change of settings. Its content is never shown.
//!
//! Next: [`super::otel`].

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{
    keys::{KeyKind, Keys},
    value::{Leaf, Value},
    variables,
};
use crate::{
    process::Environment,
    values::{SettingError, SettingErrors, encoding},
};

/// What a variable's name ends with when its value is the path of a file.
const SUFFIX: &str = "file";

/// 1 MiB: what Kubernetes allows a whole Secret.
const LARGEST: u64 = 1024 * 1024;

/// The files that `environment` may name: for [`crate::process::Watcher`], which does not know the keys.
pub(super) fn paths(environment: &Environment) -> Vec<PathBuf> {
    let leaves = variables::leaves(environment, &mut SettingErrors::default());
    leaves.iter().filter(|leaf| key(&leaf.path).is_some()).filter_map(path).collect()
}

/// The key that a path with the suffix sets.
pub(super) fn key(path: &[String]) -> Option<&[String]> {
    path.split_last().filter(|(last, _)| *last == SUFFIX).map(|(_, key)| key)
}

/// Puts contents in the place of paths; a key whose own name ends in `file` keeps its value.
pub(super) fn resolve(keys: &Keys, leaves: Vec<Leaf>, errors: &mut SettingErrors) -> Vec<Leaf> {
    let (named, mut plain): (Vec<_>, Vec<_>) = leaves.into_iter().partition(|leaf| is_named(keys, leaf));
    for leaf in named {
        let key = leaf.path[..leaf.path.len() - 1].to_vec();
        if plain.iter().any(|other| other.path == key) {
            errors.push(error(&key, &leaf, "set twice: directly and by a file"));
            continue;
        }
        match path(&leaf).ok_or_else(|| "expected the path of a file".to_owned()).and_then(|path| content(&path)) {
            Ok(text) => plain.push(Leaf { path: key, value: Value::Variable(text), source: leaf.source }),
            Err(message) => errors.push(error(&key, &leaf, &message)),
        }
    }
    plain
}

fn is_named(keys: &Keys, leaf: &Leaf) -> bool {
    key(&leaf.path).is_some_and(|key| keys.place(key) == KeyKind::Leaf) && keys.place(&leaf.path) == KeyKind::Unknown
}

fn error(key: &[String], leaf: &Leaf, message: &str) -> SettingError {
    SettingError::new(key.join("."), message).found_in(leaf.source.clone())
}

fn path(leaf: &Leaf) -> Option<PathBuf> {
    match &leaf.value {
        Value::Variable(path) if !path.is_empty() => Some(path.into()),
        _ => None,
    }
}

/// The text of the file without the newline at its end.
fn content(path: &Path) -> Result<String, String> {
    let tell = |error: &io::Error| format!("its file {}", reason(error));
    // Reading a pipe or a device could block forever.
    let is_file = fs::metadata(path).map_err(|error| tell(&error))?.is_file();
    if !is_file {
        return Err("its file is not a regular file".into());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| tell(&error))?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| tell(&error))?;
    if bytes.len() as u64 > LARGEST {
        return Err("its file is larger than 1MiB".into());
    }
    let mut text = encoding::plain(bytes).map_err(|reason| format!("its file {reason}"))?;
    let line = text.strip_suffix('\n').map_or(text.len(), |line| line.strip_suffix('\r').unwrap_or(line).len());
    text.truncate(line);
    Ok(text)
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".into(),
        kind => format!("cannot be read: {kind}"),
    }
}
