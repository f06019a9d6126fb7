//! The process's environment, as it was at start.
//!
//! A setting's name is `APP__`, then its key with `__` between the parts, in any case. The values stay texts here;
//! [`super::de`] gives them the type of their target.
//!
//! Next: [`super::content`].

use std::{collections::BTreeMap, env, ffi::OsString, fmt, fs};

use super::value::{Leaf, Value};
use crate::values::{Problem, Problems, Source};

/// What every setting's name begins with.
pub(super) const PREFIX: &str = "APP__";

/// A snapshot of environment variables.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// Names of variables whose value is not UTF-8.
    unreadable: Vec<String>,
}

impl Environment {
    /// The process's variables. Values that are not UTF-8 are left out; [`super::load()`] refuses them where they count.
    #[must_use]
    pub fn capture() -> Self {
        Self::from_os(env::vars_os())
    }

    fn from_os(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            let (name, readable) = match name.into_string() {
                Ok(name) => (name, true),
                Err(name) => (name.to_string_lossy().into_owned(), false),
            };
            match value.into_string() {
                Ok(value) if readable => drop(environment.variables.insert(name, value)),
                _ => environment.unreadable.push(name),
            }
        }
        environment
    }

    /// The value of `name`; none also where it is not UTF-8.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The value of `name`, unless it is empty: to the standard names, empty means unset.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// This replica's name: `POD_NAME`, else `HOSTNAME`, else the host's; `unknown` where there is none of them.
    #[must_use]
    pub fn replica(&self) -> String {
        let named = self.filled("POD_NAME").or_else(|| self.filled("HOSTNAME")).map(ToOwned::to_owned);
        named.or_else(hostname).unwrap_or_else(|| "unknown".into())
    }

    /// The zone that this replica runs in: `ZONE`, else `TOPOLOGY_ZONE`.
    #[must_use]
    pub fn zone(&self) -> Option<String> {
        self.filled("ZONE").or_else(|| self.filled("TOPOLOGY_ZONE")).map(ToOwned::to_owned)
    }

    /// Names of variables that are there but not UTF-8.
    pub(super) fn unreadable(&self) -> impl Iterator<Item = &str> {
        self.unreadable.iter().map(String::as_str)
    }

    /// The settings among the variables; what cannot be one joins `problems`.
    pub(super) fn leaves(&self, problems: &mut Problems) -> Vec<Leaf> {
        for name in self.unreadable().filter(|name| name.starts_with(PREFIX)) {
            problems.push(problem(name, "expected UTF-8 text"));
        }
        let mut leaves: Vec<Leaf> = Vec::new();
        for (name, text) in &self.variables {
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            let path = path(rest);
            if path.iter().any(String::is_empty) {
                problems.push(Problem::of_source(variable(name), "expected a key, as in APP__SERVER__LISTEN"));
            } else if leaves.iter().any(|leaf| leaf.path == path) {
                problems.push(problem(name, "set twice, by names that differ in case only"));
            } else {
                leaves.push(Leaf { path, value: Value::Variable(text.clone()), source: variable(name) });
            }
        }
        leaves
    }

    /// Names that would be a setting's if `separate` were `__` throughout: `APP_SERVER_LISTEN`.
    pub(super) fn near_misses(&self, keys: &[String], problems: &mut Problems) {
        let flat = |name: &str| name.to_ascii_lowercase().replace("__", "_");
        for name in self.variables.keys().filter(|name| !name.starts_with(PREFIX)) {
            let meant = |key: &&String| flat(&name_of(key)) == flat(name);
            if let Some(key) = keys.iter().find(meant) {
                problems
                    .push(Problem::of_source(variable(name), format!("is not read; did you mean {}?", name_of(key))));
            }
        }
    }
}

fn path(rest: &str) -> Vec<String> {
    rest.split("__").map(str::to_ascii_lowercase).collect()
}

fn problem(name: &str, message: &str) -> Problem {
    Problem::new(path(name.trim_start_matches(PREFIX)).join("."), message).found_in(variable(name))
}

fn variable(name: &str) -> Source {
    Source::Variable(name.to_owned())
}

/// The variable that sets `key`.
pub(super) fn name_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}

fn hostname() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let variables = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables, unreadable: Vec::new() }
    }
}

/// Names only: any value may be a secret.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).entries(&self.unreadable).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn a_replica_is_named_by_the_first_name_there_is() {
        let name = |pairs: &[(&str, &str)]| pairs.iter().copied().collect::<Environment>().replica();
        assert_eq!(name(&[("POD_NAME", "pod-1"), ("HOSTNAME", "host-1")]), "pod-1");
        assert_eq!(name(&[("POD_NAME", ""), ("HOSTNAME", "host-1")]), "host-1");
        assert!(!name(&[]).is_empty());
    }

    #[test]
    fn a_zone_is_named_or_none() {
        let zone = |pairs: &[(&str, &str)]| pairs.iter().copied().collect::<Environment>().zone();
        assert_eq!(zone(&[("ZONE", "a"), ("TOPOLOGY_ZONE", "b")]).as_deref(), Some("a"));
        assert_eq!(zone(&[("TOPOLOGY_ZONE", "b")]).as_deref(), Some("b"));
        assert_eq!(zone(&[("ZONE", "")]), None);
    }

    #[test]
    fn a_setting_that_is_not_utf8_is_refused_by_name_and_others_are_left_out() {
        let bytes = |text: &[u8]| OsString::from_vec(text.to_vec());
        let environment = Environment::from_os([
            (bytes(b"APP__SERVER__LISTEN"), bytes(b"\xff\xfe")),
            (bytes(b"ELSEWHERE"), bytes(b"\xff")),
            (bytes(b"APP__APP__\xff"), bytes(b"x")),
        ]);
        let mut problems = Problems::default();
        assert!(environment.leaves(&mut problems).is_empty());
        let shown = problems.to_string();
        assert!(
            shown.contains("server.listen: expected UTF-8 text (environment variable APP__SERVER__LISTEN)"),
            "{shown}"
        );
        assert_eq!(problems.len(), 2, "{shown}");
    }

    #[test]
    fn a_snapshot_shows_no_value() {
        let environment: Environment = [("APP__APP__TOKEN", "hunter2")].into_iter().collect();
        assert_eq!(format!("{environment:?}"), r#"{"APP__APP__TOKEN"}"#);
    }
}
