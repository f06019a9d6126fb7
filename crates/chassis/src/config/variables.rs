//! The settings among the environment's variables.
//!
//! A setting's name is `APP__`, then its key with `__` between the parts, in any case. The values stay texts here;
//! [`super::de`] gives them the type of their target.
//!
//! Next: [`super::content`].

use super::{
    keys::Keys,
    value::{Leaf, Value},
};
use crate::{
    process::Environment,
    values::{SettingError, SettingErrors, Source},
};

/// What every setting's name begins with.
const PREFIX: &str = "APP__";
/// What every near miss begins with, in any case.
const NEAR: &str = "APP_";

/// The settings among the variables; what cannot be one joins `errors`.
pub(super) fn leaves(environment: &Environment, errors: &mut SettingErrors) -> Vec<Leaf> {
    for name in environment.unreadable().filter(|name| name.starts_with(PREFIX)) {
        errors.push(error(name, "expected UTF-8 text"));
    }
    let mut leaves: Vec<Leaf> = Vec::new();
    for (name, text) in environment.variables() {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let path = path(rest);
        if path.iter().any(String::is_empty) {
            errors.push(SettingError::of_source(variable(name), "expected a key, as in APP__SERVER__LISTEN"));
        } else if leaves.iter().any(|leaf| leaf.path == path) {
            errors.push(error(name, "set twice, by names that differ only in case"));
        } else {
            leaves.push(Leaf { path, value: Value::Variable(text.to_owned()), source: variable(name) });
        }
    }
    leaves
}

/// Names that would be a setting's if `separate` were `__` throughout: `APP_SERVER_LISTEN`.
pub(super) fn near_misses(environment: &Environment, keys: &Keys, errors: &mut SettingErrors) {
    let keys: Vec<String> = keys.leaves().into_iter().map(|key| key.name).collect();
    let flat = |name: &str| name.to_ascii_lowercase().replace("__", "_");
    // All others have nothing to be compared with: an environment may be large, and every key is compared with each.
    let begins = |name: &str| name.get(..NEAR.len()).is_some_and(|start| start.eq_ignore_ascii_case(NEAR));
    let other = |name: &&str| begins(name) && !name.starts_with(PREFIX);
    for name in environment.variables().map(|(name, _)| name).filter(other) {
        let meant = |key: &&String| flat(&name_of(key)) == flat(name);
        if let Some(key) = keys.iter().find(meant) {
            errors.push(SettingError::of_source(variable(name), format!("is ignored; did you mean {}?", name_of(key))));
        }
    }
}

fn path(rest: &str) -> Vec<String> {
    rest.split("__").map(str::to_ascii_lowercase).collect()
}

fn error(name: &str, message: &str) -> SettingError {
    SettingError::new(path(name.trim_start_matches(PREFIX)).join("."), message).found_in(variable(name))
}

fn variable(name: &str) -> Source {
    Source::Variable(name.to_owned())
}

/// The variable that sets `key`.
pub(super) fn name_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};

    use super::*;

    #[test]
    fn a_setting_that_is_not_utf8_is_refused_by_name_and_others_are_left_out() {
        let bytes = |text: &[u8]| OsString::from_vec(text.to_vec());
        let environment = Environment::from_os([
            (bytes(b"APP__SERVER__LISTEN"), bytes(b"\xff\xfe")),
            (bytes(b"ELSEWHERE"), bytes(b"\xff")),
            (bytes(b"APP__APP__\xff"), bytes(b"x")),
        ]);
        let mut errors = SettingErrors::default();
        assert!(leaves(&environment, &mut errors).is_empty());
        let shown = errors.to_string();
        assert!(
            shown.contains("server.listen: expected UTF-8 text (environment variable APP__SERVER__LISTEN)"),
            "{shown}"
        );
        assert_eq!(errors.len(), 2, "{shown}");
    }
}
