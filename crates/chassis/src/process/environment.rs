//! The process's environment, as it was at start.
//!
//! Only this module reads it. [`crate::config`] decides which variables are settings.
//!
//! Next: [`super::invocation`].

use std::{collections::BTreeMap, env, ffi::OsString, fmt, fs};

/// A snapshot of environment variables.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// Names of variables whose value is not UTF-8.
    unreadable: Vec<String>,
}

impl Environment {
    /// The process's variables. Values that are not UTF-8 are left out; [`crate::config::load()`] refuses them where they count.
    #[must_use]
    pub fn capture() -> Self {
        Self::from_os(env::vars_os())
    }

    pub(crate) fn from_os(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
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

    /// The value of `name`, unless it is empty: for standard names, empty means unset.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
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

    /// Every variable whose value is UTF-8, by name.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Names of variables that are there but not UTF-8.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = &str> {
        self.unreadable.iter().map(String::as_str)
    }
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
    fn a_snapshot_shows_no_value() {
        let environment: Environment = [("APP__APP__TOKEN", "hunter2")].into_iter().collect();
        assert_eq!(format!("{environment:?}"), r#"{"APP__APP__TOKEN"}"#);
    }
}
