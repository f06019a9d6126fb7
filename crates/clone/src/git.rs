//! What is asked of git.
//!
//! Next: [`crate::tree`].

use std::{
    path::Path,
    process::{Command, Output},
};

fn run(folder: &Path, arguments: &[&str]) -> Result<Output, String> {
    let mut git = Command::new("git");
    // Set while git runs a hook or an alias; they would name another repository than the folder's.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        git.env_remove(name);
    }
    git.args(arguments).current_dir(folder).output().map_err(|error| format!("running git: {error}"))
}

/// What git prints.
///
/// # Errors
/// What git complains of.
pub(crate) fn output(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let done = run(folder, arguments)?;
    if done.status.success() {
        return String::from_utf8(done.stdout).map_err(|_| "git printed no UTF-8".to_owned());
    }
    Err(format!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim()))
}

/// One line of git's, or nothing where it fails.
pub(crate) fn line(folder: &Path, arguments: &[&str]) -> Option<String> {
    let text = output(folder, arguments).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// Whether a commit can be made here: git knows who the user is, without a guess.
pub(crate) fn knows_the_user(folder: &Path) -> bool {
    ["GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"]
        .iter()
        .all(|identity| output(folder, &["-c", "user.useConfigOnly=true", "var", identity]).is_ok())
}

/// Refuses a tree with changes.
///
/// # Errors
/// When there are some, or files that git does not know: the first of them are named.
pub(crate) fn is_clean(root: &Path) -> Result<(), String> {
    let status = output(root, &["status", "--porcelain", "--untracked-files=all"])?;
    let lines: Vec<&str> = status.lines().collect();
    let shown = lines.iter().take(5).map(|line| format!("\n  {line}")).collect::<Vec<_>>().concat();
    match lines.len() {
        0 => Ok(()),
        count => Err(format!("the tree {} has {count} changes; commit or stash them first{shown}", root.display())),
    }
}
