//! `Cargo.toml`: the template's workspace becomes one package. Its lints are those that stand in it: the workspace's are for
//! the template's own crates.
//!
//! Next: [`crate::engine`].

/// Tables of the template's workspace, and of a package that inherits from it.
const LEFT: [&str; 5] =
    ["[workspace]", "[workspace.dependencies]", "[workspace.lints.rust]", "[workspace.lints.clippy]", "[lints]"];

/// What names the engine in the template.
const INHERITED: &str = "chassis = { workspace = true";

/// The manifest of one package, without the workspace.
pub(crate) fn one_package(manifest: &str) -> String {
    let head = |table: &str| table.lines().find(|line| line.starts_with('[')).unwrap_or_default().to_owned();
    let kept: Vec<_> = tables(manifest).into_iter().filter(|table| !LEFT.contains(&head(table).as_str())).collect();
    format!("{}\n", kept.join("\n\n"))
}

/// The parts of a manifest between empty lines that begin with a table's name, or a comment above it.
fn tables(manifest: &str) -> Vec<String> {
    let mut tables: Vec<String> = Vec::new();
    for part in manifest.trim_end().split("\n\n") {
        let first = part.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
        match tables.last_mut() {
            Some(table) if !first.starts_with('[') => {
                *table += "\n\n";
                *table += part;
            }
            _ => tables.push(part.to_owned()),
        }
    }
    tables
}

/// The manifest whose dependency on the engine has `keys`.
///
/// # Errors
/// When it inherits none from the workspace, or something else.
pub(crate) fn with_engine(manifest: &str, keys: &str) -> Result<String, String> {
    if !manifest.contains(INHERITED) {
        return Err(format!("Cargo.toml: no dependency `{INHERITED} }}`"));
    }
    let text = manifest.replace(INHERITED, &format!("chassis = {{ {keys}"));
    match text.lines().find(|line| line.contains("workspace = true")) {
        Some(line) => Err(format!("Cargo.toml: a clone has no workspace to take this from: {line}")),
        None => Ok(text),
    }
}

/// The manifest without dependencies that only the sample app has.
pub(crate) fn without_dependencies(manifest: &str, names: &[&str]) -> String {
    let mut is_dependency = false;
    let mut kept = String::new();
    for line in manifest.split_inclusive('\n') {
        if line.starts_with('[') {
            is_dependency = line.trim_end() == "[dependencies]";
        }
        let name = line.split([' ', '.', '=']).next().unwrap_or_default();
        if !is_dependency || !names.contains(&name) {
            kept += line;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[workspace]\nmembers = [\"crates/*\"]\n\n[workspace.dependencies]\nchassis = { path = \"crates/chassis\" }\n\n\
        # Of others.\n[workspace.lints.rust]\nmissing_docs = \"warn\"\n\n[package]\nname = \"a\"\n\n# Doors.\n[features]\ntls = [\"chassis/tls\"]\n\n\
        [dependencies]\nchassis = { workspace = true }\nnix = \"1\"\n\n[dev-dependencies]\nchassis = { workspace = true, features = [\"x\"] }\nnix = \"1\"\n\n\
        # Its own.\n[lints.rust]\nunsafe_code = \"forbid\"\n\n[[test]]\nname = \"service\"\n";

    #[test]
    fn a_workspace_becomes_one_package_with_its_own_lints() {
        let one = with_engine(&one_package(MANIFEST), "path = \"vendor/chassis\"").unwrap();
        let expected = "[package]\nname = \"a\"\n\n# Doors.\n[features]\ntls = [\"chassis/tls\"]\n\n\
            [dependencies]\nchassis = { path = \"vendor/chassis\" }\nnix = \"1\"\n\n\
            [dev-dependencies]\nchassis = { path = \"vendor/chassis\", features = [\"x\"] }\nnix = \"1\"\n\n\
            # Its own.\n[lints.rust]\nunsafe_code = \"forbid\"\n\n[[test]]\nname = \"service\"\n";
        assert_eq!(one, expected);
    }

    #[test]
    fn what_still_inherits_is_refused() {
        let error = with_engine("chassis = { workspace = true }\nother = { workspace = true }\n", "").unwrap_err();
        assert!(error.ends_with("other = { workspace = true }"), "{error}");
        assert!(with_engine("[dependencies]\n", "").is_err());
    }

    #[test]
    fn only_the_named_dependencies_go() {
        let left = without_dependencies(
            "[dependencies]\nnix = \"1\"\nnixx = \"1\"\n\n[dev-dependencies]\nnix = \"1\"\n",
            &["nix"],
        );
        assert_eq!(left, "[dependencies]\nnixx = \"1\"\n\n[dev-dependencies]\nnix = \"1\"\n");
    }
}
