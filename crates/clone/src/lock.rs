//! `Cargo.lock`, by cargo: it alone knows which packages a crate that is left out took with it, and how two of one name
//! are told apart. So `--locked` holds from the clone's first build on.
//!
//! Next: [`crate::place`].

use std::{env, fs, path::Path, process::Command};

use crate::{place::Scratch, tree::Tree};

/// Has cargo write the lock file anew, all versions kept.
///
/// # Errors
/// When there is no room for a copy, or cargo refuses the tree; such as for a name that a package cannot have.
pub(crate) fn refresh(tree: &mut Tree) -> Result<(), String> {
    let scratch = Scratch::in_folder(&env::temp_dir(), "clone")?;
    tree.write(&scratch.0)?;
    // Offline first: the present versions are in reach where this program was just built with them.
    cargo(&scratch.0, &["--offline"]).or_else(|_| cargo(&scratch.0, &[]))?;
    let path = scratch.0.join("Cargo.lock");
    let lock = fs::read(&path).map_err(|error| format!("reading {}: {error}", path.display()))?;
    tree.set("Cargo.lock", lock);
    Ok(())
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
