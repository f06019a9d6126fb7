//! The known keys, from the schema.
//!
//! Next: [`mod@super::load`].

use serde_json::Value as Json;

use super::{
    AppSettings,
    schema::{RELOADABLE, schema},
};

/// The kind of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    /// A table of known keys.
    Section,
    /// A table of any keys.
    Map,
    /// A value, or a type of the app's that is read as a whole.
    Leaf,
    /// No setting.
    Unknown,
}

/// The tree of all keys.
pub(super) struct Keys {
    schema: Json,
}

/// One key and its schema.
pub(super) struct Key<'a> {
    pub(super) name: String,
    pub(super) schema: &'a Json,
}

impl Key<'_> {
    pub(super) fn path(&self) -> Vec<String> {
        self.name.split('.').map(ToOwned::to_owned).collect()
    }
}

impl Keys {
    pub(super) fn of<A: AppSettings>() -> Self {
        Self { schema: schema::<A>() }
    }

    /// The schema of the whole.
    pub(super) fn schema(&self) -> &Json {
        &self.schema
    }

    /// The kind of `path`.
    pub(super) fn place(&self, path: &[String]) -> KeyKind {
        let mut node = self.resolve(&self.schema);
        for part in path {
            match (child(node, part), place(node)) {
                (Some(child), _) => node = self.resolve(child),
                (None, KeyKind::Leaf) if open(node) => return KeyKind::Leaf,
                (None, KeyKind::Map) => return KeyKind::Leaf,
                (None, _) => return KeyKind::Unknown,
            }
        }
        place(node)
    }

    /// Whether the key at `path`, or its section, takes effect without a restart.
    pub(super) fn is_reloadable(&self, path: &[String]) -> bool {
        let mut node = &self.schema;
        path.iter().any(|part| {
            node = child(self.resolve(node), part).unwrap_or(&Json::Null);
            node[RELOADABLE] == true
        })
    }

    /// Every key that holds a value, in the order of the structs.
    pub(super) fn leaves(&self) -> Vec<Key<'_>> {
        let mut keys = Vec::new();
        self.collect(&self.schema, "", &mut keys);
        keys
    }

    /// The key's documentation, if any.
    pub(super) fn meaning(&self, path: &[String]) -> Option<&str> {
        let node = path.iter().try_fold(&self.schema, |node, part| child(self.resolve(node), part))?;
        node["description"].as_str()
    }

    /// The most similar key to `path`, if one is similar enough.
    pub(super) fn nearest(&self, path: &[String]) -> Option<String> {
        let wanted = path.join(".");
        let last = path.last()?;
        // Its own parent is not a suggestion.
        let sections = self.sections().into_iter().filter(|section| *section != path[0]);
        let names: Vec<String> = self.leaves().into_iter().map(|key| key.name).chain(sections).collect();
        let mut namesakes = names.iter().filter(|name| name.rsplit('.').next() == Some(last));
        if let (Some(name), None) = (namesakes.next(), namesakes.next()) {
            return Some(name.clone());
        }
        let distance = |name: &String| distance(&plain(name), &plain(&wanted));
        // A third of the letters: enough for a typo or two, too few for another word.
        let bound = (plain(&wanted).len() / 3).max(2);
        names.iter().map(|name| (distance(name), name)).filter(|(d, _)| *d <= bound).min().map(|(_, name)| name.clone())
    }

    fn sections(&self) -> Vec<String> {
        self.schema["properties"].as_object().map(|sections| sections.keys().cloned().collect()).unwrap_or_default()
    }

    fn collect<'a>(&'a self, node: &'a Json, prefix: &str, keys: &mut Vec<Key<'a>>) {
        for (part, child) in self.resolve(node)["properties"].as_object().into_iter().flatten() {
            let name = if prefix.is_empty() { part.clone() } else { format!("{prefix}.{part}") };
            // A recursive type would never end.
            if place(self.resolve(child)) == KeyKind::Section && name.matches('.').count() < 8 {
                self.collect(child, &name, keys);
            } else {
                keys.push(Key { name, schema: child });
            }
        }
    }

    /// Follows references, and looks through what is optional.
    fn resolve<'a>(&'a self, node: &'a Json) -> &'a Json {
        let mut node = node;
        loop {
            if let Some(target) =
                node["$ref"].as_str().and_then(|target| self.schema.pointer(target.strip_prefix('#')?))
            {
                node = target;
                continue;
            }
            let some: Vec<&Json> = alternatives(node).filter(|node| node["type"] != "null").collect();
            match some.as_slice() {
                [one] => node = one,
                _ => return node,
            }
        }
    }
}

fn child<'a>(node: &'a Json, part: &str) -> Option<&'a Json> {
    node["properties"].get(part).or_else(|| Some(&node["additionalProperties"]).filter(|rest| rest.is_object()))
}

fn alternatives(node: &Json) -> impl Iterator<Item = &Json> {
    ["anyOf", "oneOf"].into_iter().filter_map(|name| node[name].as_array()).flatten()
}

fn place(node: &Json) -> KeyKind {
    let rest = &node["additionalProperties"];
    if node["properties"].is_object() && alternatives(node).next().is_none() {
        KeyKind::Section
    } else if rest.is_object() || rest == &Json::Bool(true) {
        KeyKind::Map
    } else {
        KeyKind::Leaf
    }
}

/// Whether a type that is read as a whole may have keys of its own.
fn open(node: &Json) -> bool {
    alternatives(node).any(|node| node["properties"].is_object())
        || node.as_object().is_none_or(serde_json::Map::is_empty)
}

/// A key without separators, since typos affect separators too.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let swapped = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = swapped.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_slips() {
        assert_eq!(distance("listen", "listen"), 0);
        assert_eq!(distance("lisen", "listen"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
