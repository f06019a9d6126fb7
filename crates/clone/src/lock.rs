//! `Cargo.lock` after a rename, and without the crates that are left out: as cargo itself would write it, so that
//! `--locked` holds from the first build on.
//!
//! Next: [`crate::rename`].

use std::collections::BTreeSet;

/// A `[[package]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    /// Places in the list of packages.
    needs: Vec<usize>,
    /// As the file has them: a name, and as much more as tells it from its namesakes.
    listed: Vec<String>,
}

/// The lock file `text` with the workspace's package `old` called `new`, and without the packages `gone` and what only
/// they need.
///
/// # Errors
/// When it is not written as cargo writes it, or has no package `old` of the workspace.
pub(crate) fn renamed(text: &str, old: &str, new: &str, gone: &[String]) -> Result<String, String> {
    let (head, blocks) = text.split_once("[[package]]\n").ok_or("Cargo.lock: no package")?;
    let mut packages = blocks.split("\n[[package]]\n").map(package).collect::<Result<Vec<_>, _>>()?;
    for index in 0..packages.len() {
        let needs = packages[index].listed.iter().map(|needed| find(&packages, needed)).collect::<Result<_, _>>()?;
        packages[index].needs = needs;
    }
    let own = packages.iter().position(|package| package.source.is_none() && package.name == old);
    let own = own.ok_or_else(|| format!("Cargo.lock: no package {old} of this workspace"))?;
    new.clone_into(&mut packages[own].name);
    let kept = reached(&packages, gone);
    let mut order: Vec<usize> = kept.into_iter().collect();
    order.sort_by(|one, other| key(&packages[*one]).cmp(&key(&packages[*other])));
    let blocks: Vec<String> = order.iter().map(|index| block(&packages, &order, *index)).collect();
    Ok(format!("{head}{}", blocks.join("\n")))
}

fn package(block: &str) -> Result<Package, String> {
    let value = |key: &str| {
        let start = format!("{key} = \"");
        block.lines().find_map(|line| line.strip_prefix(&start)?.strip_suffix('"')).map(str::to_owned)
    };
    let missing = |key: &str| format!("Cargo.lock: a package without {key}: {block:?}");
    let listed = block.lines().filter_map(|line| line.strip_prefix(" \"")?.strip_suffix("\",")).map(str::to_owned);
    Ok(Package {
        name: value("name").ok_or_else(|| missing("name"))?,
        version: value("version").ok_or_else(|| missing("version"))?,
        source: value("source"),
        checksum: value("checksum"),
        needs: Vec::new(),
        listed: listed.collect(),
    })
}

/// Which package `needed` (`name`, `name version`, or `name version (source)`) is.
fn find(packages: &[Package], needed: &str) -> Result<usize, String> {
    let mut parts = needed.splitn(3, ' ');
    let (name, version, source) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let fits = |package: &Package| {
        package.name == name
            && version.is_none_or(|version| package.version == version)
            && source.is_none_or(|source| package.source.as_deref() == Some(source.trim_matches(['(', ')'])))
    };
    let found: Vec<usize> = (0..packages.len()).filter(|index| fits(&packages[*index])).collect();
    match found[..] {
        [one] => Ok(one),
        // A name and a version that a package of the workspace shares with another: cargo means its own.
        [..] if source.is_none() => found
            .into_iter()
            .find(|index| packages[*index].source.is_none())
            .ok_or_else(|| format!("Cargo.lock: which package is {needed:?}?")),
        [..] => Err(format!("Cargo.lock: which package is {needed:?}?")),
    }
}

/// What the workspace's packages but `gone` need, they included.
fn reached(packages: &[Package], gone: &[String]) -> BTreeSet<usize> {
    let is_root = |package: &Package| package.source.is_none() && !gone.contains(&package.name);
    let mut waiting: Vec<usize> = (0..packages.len()).filter(|index| is_root(&packages[*index])).collect();
    let mut reached = BTreeSet::new();
    while let Some(index) = waiting.pop() {
        if reached.insert(index) {
            waiting.extend(&packages[index].needs);
        }
    }
    reached
}

/// Cargo's order: by name, version, source; a package of the workspace before others.
fn key(package: &Package) -> (&str, Vec<u64>, &str, Option<&str>) {
    let numbers = package.version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect();
    (&package.name, numbers, &package.version, package.source.as_deref())
}

fn block(packages: &[Package], kept: &[usize], index: usize) -> String {
    let package = &packages[index];
    let mut text = format!("[[package]]\nname = \"{}\"\nversion = \"{}\"\n", package.name, package.version);
    for (key, value) in [("source", &package.source), ("checksum", &package.checksum)] {
        if let Some(value) = value {
            text.extend([key, " = \"", value, "\"\n"]);
        }
    }
    let mut needs: Vec<&Package> = package.needs.iter().map(|need| &packages[*need]).collect();
    needs.sort_by(|one, other| key(one).cmp(&key(other)));
    let lines: String =
        needs.iter().map(|need| format!(" \"{}\",\n", reference(packages, kept, need))).collect::<Vec<_>>().concat();
    if !lines.is_empty() {
        text.extend(["dependencies = [\n", &lines, "]\n"]);
    }
    text
}

/// `package` in as few words as tell it from its namesakes.
fn reference(packages: &[Package], kept: &[usize], package: &Package) -> String {
    let namesakes: Vec<&Package> =
        kept.iter().map(|index| &packages[*index]).filter(|other| other.name == package.name).collect();
    let of_version = namesakes.iter().filter(|other| other.version == package.version).count();
    let Package { name, version, source, .. } = package;
    match (namesakes.len(), of_version, source) {
        (1, ..) => name.clone(),
        (_, 1, _) | (.., None) => format!("{name} {version}"),
        (.., Some(source)) => format!("{name} {version} ({source})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

    fn lock(packages: &[(&str, &str, bool, &[&str])]) -> String {
        let blocks: Vec<String> = packages
            .iter()
            .map(|(name, version, is_ours, needs)| {
                let source =
                    if *is_ours { String::new() } else { format!("source = \"{REGISTRY}\"\nchecksum = \"0\"\n") };
                let needs: String = needs.iter().map(|need| format!(" \"{need}\",\n")).collect::<Vec<_>>().concat();
                let needs = if needs.is_empty() { needs } else { format!("dependencies = [\n{needs}]\n") };
                format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n{source}{needs}")
            })
            .collect();
        format!("# Made by cargo.\nversion = 4\n\n{}", blocks.join("\n"))
    }

    fn template() -> String {
        lock(&[
            ("bridge", "0.1.0", true, &["only-bridge", "template", "tokio"]),
            ("only-bridge", "1.0.0", false, &["twice 2.0.0"]),
            ("template", "0.1.0", true, &["tokio", "twice 1.0.0"]),
            ("tokio", "1.54.0", false, &[]),
            ("twice", "1.0.0", false, &[]),
            ("twice", "2.0.0", false, &[]),
        ])
    }

    #[test]
    fn nothing_to_do_changes_nothing() {
        assert_eq!(renamed(&template(), "template", "template", &[]).unwrap(), template());
    }

    #[test]
    fn a_renamed_package_moves_to_its_place() {
        let expected = lock(&[
            ("a", "0.1.0", true, &["tokio", "twice 1.0.0"]),
            ("bridge", "0.1.0", true, &["a", "only-bridge", "tokio"]),
            ("only-bridge", "1.0.0", false, &["twice 2.0.0"]),
            ("tokio", "1.54.0", false, &[]),
            ("twice", "1.0.0", false, &[]),
            ("twice", "2.0.0", false, &[]),
        ]);
        assert_eq!(renamed(&template(), "template", "a", &[]).unwrap(), expected);
    }

    #[test]
    fn what_only_a_crate_left_out_needs_goes_with_it() {
        let expected = lock(&[
            ("orders", "0.1.0", true, &["tokio", "twice"]),
            ("tokio", "1.54.0", false, &[]),
            ("twice", "1.0.0", false, &[]),
        ]);
        assert_eq!(renamed(&template(), "template", "orders", &["bridge".into()]).unwrap(), expected);
    }

    #[test]
    fn a_namesake_is_told_by_its_version_and_the_way_back_is_the_same() {
        let expected = lock(&[
            ("tokio", "0.1.0", true, &["tokio 1.54.0", "twice"]),
            ("tokio", "1.54.0", false, &[]),
            ("twice", "1.0.0", false, &[]),
        ]);
        let there = renamed(&template(), "template", "tokio", &["bridge".into()]).unwrap();
        assert_eq!(there, expected);
        let back = renamed(&there, "tokio", "template", &[]).unwrap();
        assert_eq!(back, renamed(&template(), "template", "template", &["bridge".into()]).unwrap());
    }

    #[test]
    fn a_namesake_of_the_same_version_is_told_by_its_source() {
        let text = lock(&[("dep", "0.1.0", false, &[]), ("template", "0.1.0", true, &["dep"])]);
        let there = renamed(&text, "template", "dep", &[]).unwrap();
        let needed = format!("dep 0.1.0 ({REGISTRY})");
        assert_eq!(there, lock(&[("dep", "0.1.0", true, &[&needed]), ("dep", "0.1.0", false, &[])]));
        assert_eq!(renamed(&there, "dep", "template", &[]).unwrap(), text);
    }

    #[test]
    fn a_lock_without_the_package_is_refused() {
        assert!(renamed(&template(), "other", "orders", &[]).unwrap_err().contains("other"));
    }
}
