//! What stays behind: the engine, its pages, and what only the template needs.
//!
//! Next: [`crate::bare`].

use crate::tree::Tree;

/// Below these, all is the engine's or the template's own. Those that are not there do no harm.
const LEFT: [&str; 8] = [
    ".github/ISSUE_TEMPLATE/",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "benches/",
    // For lints that only the engine is under.
    "clippy.toml",
    "crates/",
    "findings/",
    "template/",
];

/// Units for a host with the cargo feature `host`, which few services run on; they stand with the engine's page of it.
const UNITS: &str = "systemd/";

/// The pages of docs/ that speak of the service. All others, also those to come, speak of the engine.
const PAGES: [&str; 12] = [
    "README.md",
    "api.md",
    "configuration.md",
    "first-hour.md",
    "metrics.md",
    "openapi.json",
    "operations.md",
    "runbooks.md",
    "settings.schema.json",
    "slo.md",
    "testing-a-service.md",
    "upgrading.md",
];

/// Files below it take the place of the template's.
const OVERLAY: &str = "crates/clone/pages/";

/// Files with a line on the engine.
const OF_BOTH: [&str; 2] = [".github/pull_request_template.md", ".github/workflows/ci.yaml"];

/// A new changelog.
const CHANGELOG: &str = "# Changelog\n\nNames, ports, paths, settings, metrics and exit codes change only with an entry here.\n\n\
    ## [Unreleased]\n\n- The service begins, as the template's sample.\n";

/// Leaves out of `tree` what a clone does not need, and puts the clone's own pages in.
///
/// # Errors
/// When a file is not as expected.
pub(crate) fn leave_out(tree: &mut Tree) -> Result<(), String> {
    overlay(tree, OVERLAY);
    tree.leave_out(|path| {
        let is_engine_page =
            path.strip_prefix("docs/").is_some_and(|page| !PAGES.iter().any(|kept| page.starts_with(kept)));
        is_engine_page || path.starts_with(UNITS) || LEFT.iter().any(|left| path.starts_with(left))
    });
    let makefile = makefile(tree.text("Makefile")?);
    tree.set("Makefile", makefile);
    let updates = one_folder(tree.text(".github/dependabot.yaml")?)?;
    tree.set(".github/dependabot.yaml", updates);
    let text = tree.text("deny.toml")?;
    if !text.contains("allow-wildcard-paths") {
        // The engine has no version there, by path or git; cargo-deny takes that for a wildcard.
        let (old, new) = ("wildcards = \"deny\"\n", "wildcards = \"deny\"\nallow-wildcard-paths = true\n");
        let text = text.replacen(old, new, 1);
        tree.set("deny.toml", text);
    }
    for path in OF_BOTH {
        let text = without_lines(tree.text(path)?, "crates/");
        tree.set(path, text);
    }
    tree.set("CHANGELOG.md", CHANGELOG);
    Ok(())
}

/// The files below `folder` take the place of those of the same name. A page ends with `.in`: its links are a clone's.
pub(crate) fn overlay(tree: &mut Tree, folder: &str) {
    for path in tree.below(folder) {
        let entry = tree.0[&path].clone();
        let name = &path[folder.len()..];
        tree.0.insert(name.strip_suffix(".in").unwrap_or(name).to_owned(), entry);
    }
}

/// The Makefile without the engine's steps.
fn makefile(text: &str) -> String {
    let text = text.replace(" $(ENGINE_STEPS)", "").replace(" $(ENGINE_GENERATED)", "");
    without_lines(&without_lines(&text, "crates/"), "# The engine's own steps")
}

fn without_lines(text: &str, mark: &str) -> String {
    text.split_inclusive('\n').filter(|line| !line.contains(mark)).collect()
}

/// Dependabot's settings with the root for the only folder that has a lock file.
fn one_folder(text: &str) -> Result<String, String> {
    let wrong = || ".github/dependabot.yaml: no list of directories for cargo".to_owned();
    let (head, rest) = text.split_once("    directories: [").ok_or_else(wrong)?;
    let (_, tail) = rest.split_once("]\n").ok_or_else(wrong)?;
    Ok(format!("{head}    directory: /\n{tail}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_and_its_pages_stay_behind() {
        let mut tree = Tree::of(&[
            (
                "Makefile",
                "# The engine's own steps, where it is.\n-include crates/chassis/engine.mk\ntest: lint $(ENGINE_STEPS)\n",
            ),
            (
                ".github/dependabot.yaml",
                "  - package-ecosystem: cargo\n    directories: [\"/\", \"/x\"]\n    next: 1\n",
            ),
            (OF_BOTH[1], "steps: # of crates/\n"),
            (OF_BOTH[0], "- one\n- in crates/chassis\n"),
            ("deny.toml", "wildcards = \"deny\"\n"),
            ("README.md", "of the template"),
            ("crates/clone/pages/README.md.in", "of the service"),
            ("crates/chassis/src/lib.rs", ""),
            ("docs/adr/0001.md", ""),
            ("docs/overload.md", ""),
            ("docs/runbooks.md", ""),
            ("src/main.rs", ""),
            ("template/tests/x", ""),
        ]);
        leave_out(&mut tree).unwrap();
        let left: Vec<&String> = tree.0.keys().collect();
        let expected = [
            ".github/dependabot.yaml",
            OF_BOTH[0],
            OF_BOTH[1],
            "CHANGELOG.md",
            "Makefile",
            "README.md",
            "deny.toml",
            "docs/runbooks.md",
            "src/main.rs",
        ];
        assert_eq!(left, expected);
        assert_eq!(tree.text("Makefile").unwrap(), "test: lint\n");
        assert_eq!(tree.text("README.md").unwrap(), "of the service");
        let updates = "  - package-ecosystem: cargo\n    directory: /\n    next: 1\n";
        assert_eq!(tree.text(".github/dependabot.yaml").unwrap(), updates);
        assert!(tree.text("deny.toml").unwrap().contains("allow-wildcard-paths = true"));
    }
}
