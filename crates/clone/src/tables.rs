//! The manifest of an upgraded clone: the template's of today, and the team's own lines in it.
//!
//! Merged by keys, not by lines: in the form before, app and engine shared one table of dependencies.
//!
//! Next: [`crate::place`].

use std::path::Path;

use crate::tree::Tree;

/// A table: its head, with brackets, and its lines, each a key with a value, or a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Table {
    head: String,
    lines: Vec<String>,
}

impl Table {
    fn line(&self, key: &str) -> Option<&String> {
        self.lines.iter().find(|line| key_of(line) == Some(key))
    }

    /// The line takes the place of the one with its key, or comes last.
    fn set(&mut self, key: &str, line: &str) {
        match self.lines.iter_mut().find(|line| key_of(line) == Some(key)) {
            Some(place) => line.clone_into(place),
            None => self.lines.push(line.to_owned()),
        }
    }
}

/// The manifest of `new`, with what `old` has made of that of `base`.
///
/// # Errors
/// When one of them has none.
pub(crate) fn merged(old: &Tree, base: &Tree, new: &Tree) -> Result<String, String> {
    let [yours, before, mut result] = [old, base, new].map(|tree| tree.text("Cargo.toml").map(tables));
    let (yours, before) = (yours?, before?);
    let result = result.as_mut().map_err(|error| error.clone())?;
    let code = code(old);
    for table in &yours {
        // One of many with the same head, such as `[[test]]`: it is whole or not there.
        if table.head.starts_with("[[") {
            if !before.contains(table) && !result.contains(table) {
                result.push(table.clone());
            }
            continue;
        }
        let was = before.iter().find(|other| other.head == table.head);
        let Some(was) = was else {
            // A table of the team's own.
            result.push(table.clone());
            continue;
        };
        let is = result.iter_mut().find(|other| other.head == table.head);
        let is_of_dependencies = table.head == "[dependencies]";
        let Some(is) = is else { continue };
        for line in &table.lines {
            let Some(key) = key_of(line) else { continue };
            let is_changed = was.line(key) != Some(line);
            let is_used = is_of_dependencies && is.line(key).is_none() && uses(&code, key);
            if is_changed || is_used {
                is.set(key, line);
            }
        }
    }
    let text: Vec<String> =
        result.iter().map(|table| format!("{}\n{}", table.head, table.lines.join("\n")).trim().to_owned()).collect();
    Ok(text.join("\n\n") + "\n")
}

/// What the service's own code says.
fn code(old: &Tree) -> String {
    let is_own = |path: &&String| {
        path.starts_with("src/")
            && !path.starts_with("src/chassis/")
            && Path::new(path).extension().is_some_and(|ending| ending == "rs")
    };
    old.0.keys().filter(is_own).filter_map(|path| old.text(path).ok()).collect()
}

/// Whether `code` names the crate.
fn uses(code: &str, name: &str) -> bool {
    let path = format!("{}::", name.replace('-', "_"));
    code.match_indices(&path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        before.is_none_or(|letter| !letter.is_alphanumeric() && letter != '_' && letter != ':')
    })
}

fn key_of(line: &str) -> Option<&str> {
    let key = line.split(['=', '.']).next()?.trim();
    let is_key = line.contains('=') && !line.starts_with(['#', ' ', '\t', ']']) && !key.is_empty();
    is_key.then_some(key)
}

/// The manifest's tables; what stands above the first has an empty head.
fn tables(manifest: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for line in manifest.lines() {
        match tables.last_mut() {
            Some(table) if !line.starts_with('[') => {
                if !line.is_empty() {
                    table.lines.push(line.to_owned());
                }
            }
            _ => tables.push(Table { head: line.to_owned(), lines: Vec::new() }),
        }
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(manifest: &str, code: &str) -> Tree {
        Tree::of(&[("Cargo.toml", manifest), ("src/app/mod.rs", code)])
    }

    #[test]
    fn own_dependencies_and_features_stay_and_the_engines_go() {
        let base = "[package]\nname = \"a\"\nversion = \"0.1.0\"\n\n[dependencies]\naxum = \"1\"\nbytes = \"1\"\nhyper = \"1\"\n\n[[test]]\nname = \"it\"\n\n[[test]]\nname = \"doors\"\n\n[lints]\nworkspace = true\n";
        let old = "[package]\nname = \"a\"\nversion = \"2.0.0\"\n\n[dependencies]\naxum = \"1\"\nbytes = \"1\"\nhyper = \"1\"\nsqlx = \"0.9\"\n\n\
            [[test]]\nname = \"it\"\n\n[[test]]\nname = \"doors\"\n\n[[bin]]\nname = \"own\"\n\n[lints]\nworkspace = true\n";
        let new = "[package]\nname = \"a\"\nversion = \"0.1.0\"\n\n[dependencies]\naxum = \"1\"\nchassis = { path = \"x\" }\n\n[lints.rust]\nunsafe_code = \"forbid\"\n";
        let [old, base, new] =
            [(old, "use bytes::Bytes; my_hyper::x()"), (base, ""), (new, "")].map(|(text, code)| of(text, code));
        let expected = "[package]\nname = \"a\"\nversion = \"2.0.0\"\n\n[dependencies]\naxum = \"1\"\nchassis = { path = \"x\" }\nbytes = \"1\"\nsqlx = \"0.9\"\n\n\
            [lints.rust]\nunsafe_code = \"forbid\"\n\n[[bin]]\nname = \"own\"\n";
        assert_eq!(merged(&old, &base, &new).unwrap(), expected);
    }
}
