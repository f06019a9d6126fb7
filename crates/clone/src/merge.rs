//! A merge of three trees for [`crate::upgrade`]: the clone, what the template gave it, and what it would give today.
//!
//! Next: [`crate::tables`].

use std::{collections::BTreeSet, env, fs};

use crate::{
    git,
    place::Scratch,
    renamed::{Renamed, repointed},
    tables,
    tree::{Entry, Tree},
};

/// The team's own, whatever the template has there: code, and two pages.
const OWN: [&str; 3] = ["src/app/", "README.md", "CHANGELOG.md"];
/// Made by `make generate`: not merged by lines.
const GENERATED: [&str; 5] =
    ["docs/configuration.md", "docs/openapi.json", "docs/settings.schema.json", "helm/values.schema.json", "k8s/"];
/// Not merged by lines: [`tables`] does the first, cargo the second, and the third is the template's.
const REPLACED: [&str; 3] = ["Cargo.toml", "Cargo.lock", ".template"];
/// Where the engine was.
const ENGINE: &str = "src/chassis/";

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    pub(crate) tree: Tree,
    /// Files with marks of a conflict.
    pub(crate) conflicts: Vec<String>,
    /// Files that the clone has changed and the template no longer has.
    pub(crate) kept: Vec<String>,
    /// Files of the copied engine that the clone had changed.
    pub(crate) lost: Vec<String>,
    types: Vec<Renamed>,
}

/// Merges what the clone `old` has made of `base` into `new`.
///
/// # Errors
/// When git cannot compare two files.
pub(crate) fn three(old: &Tree, base: &Tree, new: &Tree, types: &[Renamed]) -> Result<Merged, String> {
    let mut merged = Merged { types: types.to_vec(), ..Merged::default() };
    let paths: BTreeSet<&String> = old.0.keys().chain(new.0.keys()).collect();
    for path in paths {
        if let Some(entry) = merged.entry(path, [old, base, new].map(|tree| tree.0.get(path)))? {
            merged.tree.0.insert(path.clone(), entry);
        }
    }
    let manifest = tables::merged(old, base, new)?;
    merged.tree.set("Cargo.toml", manifest);
    Ok(merged)
}

impl Merged {
    fn entry(&mut self, path: &str, [old, base, new]: [Option<&Entry>; 3]) -> Result<Option<Entry>, String> {
        let is_below = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
        if is_below(&[ENGINE]) {
            if old != base {
                self.lost.push(path.to_owned());
            }
            return Ok(None);
        }
        if is_below(&OWN) {
            return Ok(old.map(|entry| repointed(path, entry, &self.types)));
        }
        if old == base || old == new || REPLACED.contains(&path) {
            return Ok(new.cloned());
        }
        match (old, base, new) {
            (Some(old), Some(_), None) => {
                self.kept.push(path.to_owned());
                Ok(Some(repointed(path, old, &self.types)))
            }
            (Some(old), None, _) => Ok(Some(repointed(path, old, &self.types))),
            (Some(old), ..) if base == new || is_below(&GENERATED) => Ok(Some(repointed(path, old, &self.types))),
            (Some(old), Some(base), Some(new)) => self.lines(path, old, base, new).map(Some),
            // Dropped by the clone.
            (None, ..) => Ok(None),
        }
    }

    /// By lines, as git does it.
    fn lines(&mut self, path: &str, old: &Entry, base: &Entry, new: &Entry) -> Result<Entry, String> {
        let scratch = Scratch::in_folder(&env::temp_dir(), "merge")?;
        let mut names = Vec::new();
        for (name, entry) in [("yours", old), ("before", base), ("template", new)] {
            let Entry::File { content, .. } = entry else { return Ok(old.clone()) };
            let file = scratch.0.join(name);
            fs::write(&file, content).map_err(|error| format!("writing {}: {error}", file.display()))?;
            names.push(name);
        }
        let (text, is_clean) = git::merge_file(&scratch.0, [names[0], names[1], names[2]])?;
        if !is_clean {
            self.conflicts.push(path.to_owned());
        }
        let executable = matches!(old, Entry::File { executable: true, .. });
        Ok(repointed(path, &Entry::File { content: text.into(), executable }, &self.types))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[package]\nname = \"a\"\n\n[dependencies]\nserde = \"1\"\n";

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::of(files);
        tree.set("Cargo.toml", MANIFEST);
        tree
    }

    #[test]
    fn what_nobody_touched_is_the_templates_and_what_the_team_wrote_stays() {
        let base = tree(&[
            ("src/chassis/mod.rs", ""),
            ("src/app/mod.rs", "sample"),
            ("helm/a", "1\n2\n3\n4\n5\n"),
            ("tests/it/a.rs", ""),
            ("tests/b.yaml", "1"),
        ]);
        let old = tree(&[
            ("src/chassis/mod.rs", "patched"),
            ("src/app/mod.rs", "use crate::chassis::Chassis;"),
            ("src/app/own.rs", ""),
            ("helm/a", "mine\n2\n3\n4\n5\n"),
            ("tests/it/a.rs", ""),
            ("tests/b.yaml", "2"),
        ]);
        let new = tree(&[("src/app/mod.rs", "newer sample"), ("helm/a", "1\n2\n3\n4\ntheirs\n"), ("scripts/new", "")]);
        let merged = three(&old, &base, &new, &[]).unwrap();
        let expected = tree(&[
            ("src/app/mod.rs", "use chassis::Chassis;"),
            ("src/app/own.rs", ""),
            ("helm/a", "mine\n2\n3\n4\ntheirs\n"),
            ("scripts/new", ""),
            ("tests/b.yaml", "2"),
        ]);
        assert_eq!(merged.tree, expected);
        assert_eq!(
            (merged.kept, merged.lost),
            (vec!["tests/b.yaml".to_owned()], vec!["src/chassis/mod.rs".to_owned()])
        );
        assert!(merged.conflicts.is_empty());
    }

    #[test]
    fn two_changes_of_one_line_are_a_conflict() {
        let [old, base, new] = ["mine\n", "1\n", "theirs\n"].map(|text| tree(&[("helm/a", text)]));
        let merged = three(&old, &base, &new, &[]).unwrap();
        assert_eq!(merged.conflicts, ["helm/a"]);
        assert!(merged.tree.text("helm/a").unwrap().contains("<<<<<<< yours\nmine\n"));
    }
}
