//! Where the service's name stands, and the edits that change it; whatever else names it is found and refused.
//!
//! Next: [`crate::manifests`].

use crate::{
    edits::{self, Edit},
    manifests,
    tree::{Entry, Tree},
};

/// The file that says where a clone comes from; the only one that may name the template.
pub(crate) const STAMP: &str = ".template";

/// The name of the service in `tree`.
///
/// # Errors
/// When Cargo.toml has none.
pub(crate) fn name_of(tree: &Tree) -> Result<String, String> {
    let (_, package) = tree.text("Cargo.toml")?.split_once("[package]\nname = \"").ok_or("Cargo.toml: no [package]")?;
    let (name, _) = package.split_once('"').ok_or("Cargo.toml: no package name")?;
    Ok(name.to_owned())
}

/// Calls the service `new` in all of its places but Cargo.lock, which cargo writes; see [`crate::lock`].
///
/// # Errors
/// Each place that is not as it was thought.
pub(crate) fn rename(tree: &mut Tree, new: &str) -> Result<(), String> {
    let old = name_of(tree)?;
    let edits = [
        Edit::new("Cargo.toml", format!("[package]\nname = \"{old}\"\n"), format!("[package]\nname = \"{new}\"\n")),
        Edit::new("README.md", title(tree)?, format!("# {new}\n\n")),
        Edit::new("helm/Chart.yaml", format!("\nname: {old}\n"), format!("\nname: {new}\n")),
        Edit::new("helm/values.yaml", format!("\n  repository: {old}\n"), format!("\n  repository: {new}\n")),
    ];
    edits::apply(tree, &edits)?;
    manifests::rename(tree, &old, new)
}

/// README's first heading, which may be the name in capitals.
fn title(tree: &Tree) -> Result<String, String> {
    let text = tree.text("README.md")?;
    let line = text.lines().next().filter(|line| line.starts_with("# ")).ok_or("README.md: begins without a title")?;
    Ok(format!("{line}\n\n"))
}

/// The files that still name `old`, in any letter case, `new` apart.
pub(crate) fn leftovers(tree: &Tree, old: &str, new: &str) -> Vec<String> {
    let names = |text: &str| {
        let text = text.to_lowercase();
        let text = if new.contains(old) { text.replace(new, "") } else { text };
        text.contains(old)
    };
    let is_left = |(path, entry): &(&String, &Entry)| {
        let content = match entry {
            Entry::File { content, .. } => String::from_utf8_lossy(content).into_owned(),
            Entry::Link { to } => to.clone(),
        };
        *path != STAMP && *path != "Cargo.lock" && !path.starts_with("LICENSE") && (names(path) || names(&content))
    };
    tree.0.iter().filter(is_left).map(|(path, _)| path.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_still_names_the_template_is_found() {
        let tree = Tree::of(&[
            ("a", "of Fleet's"),
            ("docs/fleet.md", ""),
            ("b", "fleet-two only"),
            ("LICENSE-MIT", "fleet"),
            (STAMP, "fleet"),
        ]);
        assert_eq!(leftovers(&tree, "fleet", "orders"), ["a", "b", "docs/fleet.md"]);
        assert_eq!(leftovers(&tree, "fleet", "fleet-two"), ["a", "docs/fleet.md"]);
    }
}
