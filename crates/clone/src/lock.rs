//! `Cargo.lock`, by cargo: it alone knows which packages the crates that stay behind took with them, and how two of one
//! name are told apart. So `--locked` holds from the clone's first build on.
//!
//! The engine is taken from the template's folder here, whatever the clone's way to it: cargo needs no network for that.
//! A dependency by git then gets its source written into the file.
//!
//! Next: [`crate::place`].

use std::{env, fs, path::Path, process::Command};

use crate::{
    engine::{Engine, FOLDER, Mode},
    place::Scratch,
    tree::Tree,
};

/// Packages that a repository's commit brings.
const PACKAGES: [&str; 3] = ["chassis", "heap", "wsgi"];

/// Has cargo write the lock file anew, all versions kept.
///
/// # Errors
/// When there is no room for a copy, or cargo refuses the tree; such as for a name that a package cannot have.
pub(crate) fn refresh(tree: &mut Tree, root: &Path, engine: &Engine) -> Result<(), String> {
    let scratch = Scratch::in_folder(&env::temp_dir(), "clone")?;
    tree.write(&scratch.0)?;
    if engine.mode != Mode::Vendor {
        let local = format!("path = \"{}\"", root.join(FOLDER).display());
        let manifest = tree.text("Cargo.toml")?.replace(&engine.keys, &local);
        let path = scratch.0.join("Cargo.toml");
        fs::write(&path, manifest).map_err(|error| format!("writing {}: {error}", path.display()))?;
    }
    // Offline first: the present versions are in reach where this program was just built with them.
    cargo(&scratch.0, &["--offline"]).or_else(|_| cargo(&scratch.0, &[]))?;
    let path = scratch.0.join("Cargo.lock");
    let mut lock = fs::read_to_string(&path).map_err(|error| format!("reading {}: {error}", path.display()))?;
    if let Some(source) = &engine.locked {
        lock = with_source(&lock, source);
    }
    tree.set("Cargo.lock", lock);
    Ok(())
}

/// The lock file with the engine's packages from `source`.
fn with_source(lock: &str, source: &str) -> String {
    let packages = lock.split_inclusive("\n\n").map(|package| {
        let version = package
            .strip_prefix("[[package]]\nname = \"")
            .and_then(|rest| rest.split_once("\"\nversion = "))
            .filter(|(name, _)| PACKAGES.contains(name))
            .and_then(|(_, rest)| rest.lines().next());
        match version {
            Some(version) => {
                let line = format!("version = {version}\n");
                package.replacen(&line, &format!("{line}source = \"{source}\"\n"), 1)
            }
            None => package.to_owned(),
        }
    });
    packages.collect()
}

fn cargo(folder: &Path, more: &[&str]) -> Result<(), String> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["update", "--workspace", "--quiet"]).args(more).current_dir(folder);
    let done = command.output().map_err(|error| format!("running cargo: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!("cargo update: {}", String::from_utf8_lossy(&done.stderr).trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_engines_packages_get_the_source() {
        let lock = "# x\nversion = 4\n\n[[package]]\nname = \"bytes\"\nversion = \"1\"\nsource = \"r\"\n\n[[package]]\nname = \"chassis\"\nversion = \"0.2.0\"\ndependencies = [\n \"wsgi\",\n]\n\n[[package]]\nname = \"wsgi\"\nversion = \"0.1.0\"\n";
        let expected = "# x\nversion = 4\n\n[[package]]\nname = \"bytes\"\nversion = \"1\"\nsource = \"r\"\n\n[[package]]\nname = \"chassis\"\nversion = \"0.2.0\"\nsource = \"git+u#c\"\ndependencies = [\n \"wsgi\",\n]\n\n[[package]]\nname = \"wsgi\"\nversion = \"0.1.0\"\nsource = \"git+u#c\"\n";
        assert_eq!(with_source(lock, "git+u#c"), expected);
    }
}
