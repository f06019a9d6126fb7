//! Each dependency's licence is one that deny.toml allows, in every manifest here.
//!
//! `make deny` asks more (advisories, sources, bans), and CI runs it beside `make test`: it needs a tool that takes
//! minutes to build, and the network for the advisories. So that a new licence shows in `make test`, this asks the same
//! list without either.

use std::{env, fs, process::Command};

use serde_json::Value;

use crate::root;

/// The workspace, and what stands outside of it.
const MANIFESTS: [&str; 3] = ["Cargo.toml", "crates/chassis/fuzz/Cargo.toml", "benches/Cargo.toml"];

#[test]
fn every_dependency_has_a_licence_that_is_allowed() {
    let allowed = allowed();
    let refused: Vec<_> = MANIFESTS.iter().flat_map(|manifest| refused(manifest, &allowed)).collect();
    assert!(refused.is_empty(), "deny.toml does not allow:\n{}", refused.join("\n"));
}

#[test]
fn make_deny_checks_every_manifest() {
    let makefile = fs::read_to_string(root().join("crates/chassis/engine.mk")).expect("the engine's steps");
    let line = makefile.lines().find(|line| line.starts_with("DENY_ALSO = ")).expect("the manifests beside the root's");
    let listed: Vec<_> = line.split_whitespace().skip(2).collect();
    assert_eq!(listed, MANIFESTS[1..]);
    let workspaces: Vec<_> =
        tracked_manifests().into_iter().filter(|(_, text)| text.contains("\n[workspace]")).collect();
    let workspaces: Vec<_> =
        workspaces.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "Cargo.toml").collect();
    assert!(workspaces.iter().all(|name| MANIFESTS.contains(name)), "{workspaces:?}");
}

#[test]
fn an_expression_is_allowed_as_its_parts_are() {
    let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
    for fine in
        ["MIT", "MIT OR GPL-3.0", "MIT/GPL-3.0", "(MIT OR GPL-3.0) AND Apache-2.0", "Apache-2.0 WITH LLVM-exception"]
    {
        assert!(allows(fine, &allowed), "{fine}");
    }
    for wrong in ["GPL-3.0", "MIT AND GPL-3.0", "(GPL-3.0 OR BSL-1.0) AND MIT", "MIT WITH LLVM-exception", ""] {
        assert!(!allows(wrong, &allowed), "{wrong}");
    }
}

fn allowed() -> Vec<String> {
    let deny = fs::read_to_string(root().join("deny.toml")).expect("deny.toml");
    let deny: toml::Table = deny.parse().expect("it is TOML");
    let allow = deny["licenses"]["allow"].as_array().expect("a list of licences");
    allow.iter().map(|licence| licence.as_str().expect("a licence's name").to_owned()).collect()
}

/// Those of a registry whose licence is not allowed; our own crates are not published.
fn refused(manifest: &str, allowed: &[String]) -> Vec<String> {
    let metadata = metadata(manifest);
    let packages = metadata["packages"].as_array().expect("packages");
    let foreign = packages.iter().filter(|package| !package["source"].is_null());
    foreign
        .filter(|package| !allows(package["license"].as_str().unwrap_or_default(), allowed))
        .map(|package| format!("{} {}: {} ({manifest})", package["name"], package["version"], package["license"]))
        .collect()
}

/// With all features, for the platforms of deny.toml.
fn metadata(manifest: &str) -> Value {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--locked", "--all-features", "--format-version=1", "--manifest-path", manifest]);
    for platform in [
        "x86_64-unknown-linux-gnu",
        "aarch64-unknown-linux-gnu",
        "x86_64-unknown-linux-musl",
        "aarch64-unknown-linux-musl",
    ] {
        cargo.args(["--filter-platform", platform]);
    }
    let output = cargo.current_dir(root()).output().expect("starting cargo");
    assert!(output.status.success(), "{manifest}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo writes JSON")
}

fn tracked_manifests() -> Vec<(String, String)> {
    let output = Command::new("git").args(["ls-files", "Cargo.toml", "*/Cargo.toml"]).current_dir(root()).output();
    let names = String::from_utf8(output.expect("starting git").stdout).expect("names are text");
    assert!(names.contains("Cargo.toml"), "git lists no manifests");
    names.lines().map(|name| (name.to_owned(), fs::read_to_string(root().join(name)).expect("a manifest"))).collect()
}

/// An SPDX expression: `AND` binds closer than `OR`; `/` is an old `OR`.
fn allows(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    either(&mut words, allowed)
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words<'_>, allowed: &[String]) -> bool {
    let mut fine = both(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        fine |= both(words, allowed);
    }
    fine
}

fn both(words: &mut Words<'_>, allowed: &[String]) -> bool {
    let mut fine = term(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        fine &= term(words, allowed);
    }
    fine
}

fn term(words: &mut Words<'_>, allowed: &[String]) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let fine = either(words, allowed);
        words.next();
        return fine;
    }
    let mut name = words.next().unwrap_or_default().to_owned();
    if words.next_if_eq(&"WITH").is_some() {
        name = format!("{name} WITH {}", words.next().unwrap_or_default());
    }
    allowed.contains(&name)
}
