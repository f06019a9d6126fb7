//! What stays behind: the crates that nobody asked for, and what only the template needs.
//!
//! Next: [`crate::pages`].

use crate::tree::Tree;

/// Below these, all is the template's own business. Those that are not there (yet) do no harm.
const ONLY_THE_TEMPLATES: [&str; 6] =
    ["benches/", "load-tests/peers/", "fuzz/corpus/", "fuzz/artifacts/", "crates/clone/tests/", "docs/reports/"];

/// Targets of the Makefile that need these folders.
const TARGETS: [&str; 2] = ["bench", "bench-check"];

/// This command's own crate, which every clone keeps.
const KEPT: &str = "clone";

/// A new changelog.
const CHANGELOG: &str = "# Changelog\n\nNames, ports, paths, settings, metrics and exit codes change only with an entry here.\n\n\
    ## [Unreleased]\n\n- The service begins, as the template's sample.\n";

/// Leaves out of `tree` what a clone does not need: all crates but those in `with`.
///
/// # Errors
/// When `with` has a crate that is not there; those that are, are listed.
pub(crate) fn leave_out(tree: &mut Tree, with: &[String]) -> Result<(), String> {
    let crates = crates(tree);
    if let Some(unknown) = with.iter().find(|name| !crates.contains(name)) {
        let there = if crates.is_empty() { "none".to_owned() } else { crates.join(", ") };
        return Err(format!("--with {unknown}: no such crate; there are: {there}"));
    }
    for name in crates.iter().filter(|name| !with.contains(name)) {
        leave_out_crate(tree, name)?;
    }
    tree.leave_out(|path| ONLY_THE_TEMPLATES.iter().any(|folder| path.starts_with(folder)));
    let makefile = TARGETS.iter().fold(tree.text("Makefile")?.to_owned(), |text, target| without_target(&text, target));
    tree.set("Makefile", makefile);
    tree.set("CHANGELOG.md", CHANGELOG);
    Ok(())
}

/// The folders of crates/ that may stay behind.
fn crates(tree: &Tree) -> Vec<String> {
    let manifests = tree.below("crates/");
    let names = manifests.iter().filter_map(|path| path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml"));
    names.filter(|name| !name.contains('/') && *name != KEPT).map(str::to_owned).collect()
}

fn leave_out_crate(tree: &mut Tree, name: &str) -> Result<(), String> {
    let folder = format!("crates/{name}/");
    tree.leave_out(|path| path.starts_with(&folder));
    let manifest = without_dependency(tree.text("Cargo.toml")?, name);
    tree.set("Cargo.toml", manifest);
    let makefile = without_package(&without_target(tree.text("Makefile")?, name), name);
    tree.set("Makefile", makefile);
    leave_out_tests(tree, name)
}

/// Its tests in tests/NAME/, the manifest's targets there, and the feature of that name, of which nothing is left.
fn leave_out_tests(tree: &mut Tree, name: &str) -> Result<(), String> {
    let (folder, feature) = (format!("tests/{name}/"), format!("\n{name} = []\n"));
    tree.leave_out(|path| path.starts_with(&folder));
    let target = format!("\npath = \"{folder}");
    let manifest = tree.text("Cargo.toml")?.replace(&feature, "\n");
    let kept: Vec<&str> = manifest.split("\n\n").filter(|part| !part.contains(&target)).collect();
    let manifest = format!("{}\n", kept.join("\n\n").trim_end());
    tree.set("Cargo.toml", manifest);
    Ok(())
}

/// The targets of a Makefile.
pub(crate) fn targets(makefile: &str) -> Vec<String> {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    makefile
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name)
        .filter(|name| is_name(name))
        .map(str::to_owned)
        .collect()
}

/// The manifest without the dependency on `crates/NAME`, and without what features say of it.
fn without_dependency(manifest: &str, name: &str) -> String {
    let mark = format!("path = \"crates/{name}\"");
    let mut key = None;
    let mut kept = String::new();
    for line in manifest.split_inclusive('\n') {
        if line.contains(&mark) {
            key = line.split([' ', '=', '.']).next();
        } else {
            kept += line;
        }
    }
    let Some(key) = key else { return kept };
    for word in [format!("\"dep:{key}\""), format!("\"{key}\"")] {
        kept = kept
            .replace(&format!(", {word}"), "")
            .replace(&format!("{word}, "), "")
            .replace(&format!("[{word}]"), "[]");
    }
    kept
}

/// The Makefile without what cargo does for the package: the step, or its mention where the step is for others, too.
fn without_package(makefile: &str, name: &str) -> String {
    let mention = format!("--package {name} ");
    let without = |line: &str| {
        let rest = format!("{} ", line.trim_end()).replace(&mention, "");
        if rest.contains("--package ") { format!("{}\n", rest.trim_end()) } else { String::new() }
    };
    let is_of_it = |line: &str| format!("{} ", line.trim_end()).contains(&mention);
    let lines = makefile.split_inclusive('\n');
    lines.map(|line| if is_of_it(line) { without(line) } else { line.to_owned() }).collect()
}

/// The Makefile without the target `name`, and without the steps that make it.
fn without_target(makefile: &str, name: &str) -> String {
    let (head, step) = (format!("{name}:"), format!("$(MAKE) {name}"));
    let mut is_in_target = false;
    let mut kept = String::new();
    for line in makefile.split_inclusive('\n') {
        is_in_target = line.starts_with(&head) || is_in_target && !line.trim().is_empty();
        let is_end_of_target = !is_in_target && line.trim().is_empty() && kept.ends_with("\n\n");
        if !is_in_target && !is_end_of_target && !line.trim().ends_with(&step) {
            kept += line;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        Tree::of(&[
            (
                "Cargo.toml",
                "[features]\nuwsgi = []\nwsgi = [\"dep:wsgi\"]\nall = [\"a\", \"dep:wsgi\"]\n[dependencies]\na = \"1\"\n\
                 wsgi = { path = \"crates/wsgi\", optional = true }\n\n[[test]]\nname = \"wsgi\"\n\
                 path = \"tests/wsgi/main.rs\"\nrequired-features = [\"wsgi\"]\n\n[[test]]\nname = \"it\"\n",
            ),
            (
                "Makefile",
                "test:\n\t$(MAKE) ops\n\tA=1 $(MAKE) wsgi\n\t$(MAKE) bench-check\n\nwsgi: ## It.\n\tcargo test --package wsgi\n\n\
                 bench-check:\n\ttrue\n\nops:\n\ttrue\n\tcargo clippy --package wsgi -- -D warnings\n\
                 \tcargo fmt --package other --package wsgi\n",
            ),
            ("crates/clone/Cargo.toml", "[package]\nname = \"clone\"\n"),
            ("crates/clone/tests/it.rs", ""),
            ("crates/clone/src/main.rs", ""),
            ("crates/wsgi/Cargo.toml", "[package]\nname = \"wsgi-bridge\"\n"),
            ("crates/wsgi/src/lib.rs", ""),
            ("tests/wsgi/main.rs", ""),
            ("CHANGELOG.md", "old"),
            ("benches/x", ""),
        ])
    }

    #[test]
    fn crates_that_nobody_named_stay_behind_and_so_does_what_speaks_of_them() {
        let mut tree = tree();
        leave_out(&mut tree, &[]).unwrap();
        let left: Vec<&String> = tree.0.keys().collect();
        assert_eq!(
            left,
            ["CHANGELOG.md", "Cargo.toml", "Makefile", "crates/clone/Cargo.toml", "crates/clone/src/main.rs"]
        );
        let manifest = "[features]\nuwsgi = []\nall = [\"a\"]\n[dependencies]\na = \"1\"\n\n[[test]]\nname = \"it\"\n";
        assert_eq!(tree.text("Cargo.toml").unwrap(), manifest);
        assert_eq!(
            tree.text("Makefile").unwrap(),
            "test:\n\t$(MAKE) ops\n\nops:\n\ttrue\n\tcargo fmt --package other\n"
        );
        assert!(tree.text("CHANGELOG.md").unwrap().starts_with("# Changelog"));
    }

    #[test]
    fn a_crate_that_is_named_comes_along() {
        let (mut one, untouched) = (tree(), tree());
        leave_out(&mut one, &["wsgi".into()]).unwrap();
        for path in ["Cargo.toml", "crates/wsgi/src/lib.rs"] {
            assert_eq!(one.text(path), untouched.text(path), "{path}");
        }
    }

    #[test]
    fn a_crate_that_is_not_there_is_refused_with_those_that_are() {
        let error = leave_out(&mut tree(), &["wsgi".into(), "uwsgi".into()]).unwrap_err();
        assert_eq!(error, "--with uwsgi: no such crate; there are: wsgi");
        assert!(leave_out(&mut tree(), &["clone".into()]).is_err());
    }
}
