//! What is asked of git.
//!
//! Next: [`crate::tree`].

use std::{
    path::Path,
    process::{Command, Output},
};

fn run(folder: &Path, program: &str, arguments: &[&str]) -> Result<Output, String> {
    let mut git = Command::new(program);
    // Set while git runs a hook or an alias; they would name another repository than the folder's.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        git.env_remove(name);
    }
    git.args(arguments).current_dir(folder).output().map_err(|error| format!("running {program}: {error}"))
}

/// What git prints.
///
/// # Errors
/// What git complains of.
pub(crate) fn output(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    program(folder, "git", arguments)
}

/// What another program prints.
///
/// # Errors
/// What it complains of.
pub(crate) fn program(folder: &Path, program: &str, arguments: &[&str]) -> Result<String, String> {
    let done = run(folder, program, arguments)?;
    if done.status.success() {
        return String::from_utf8(done.stdout).map_err(|_| format!("{program} printed no UTF-8"));
    }
    Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim()))
}

/// The file `mine` with what has changed from `base` to `theirs`, and whether that was without conflicts.
///
/// # Errors
/// When they are no texts.
pub(crate) fn merge_file(folder: &Path, [mine, base, theirs]: [&str; 3]) -> Result<(String, bool), String> {
    let done = run(folder, "git", &["merge-file", "-p", mine, base, theirs])?;
    // The number of conflicts, 127 at the most; above that it has failed.
    match done.status.code() {
        Some(0..=127) => {
            let text = String::from_utf8(done.stdout).map_err(|_| format!("{mine}: no UTF-8"))?;
            Ok((text, done.status.success()))
        }
        _ => Err(format!("git merge-file: {}", String::from_utf8_lossy(&done.stderr).trim())),
    }
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
    let status = output(root, &["status", "--porcelain", "--untracked-files=all", "--", "."])?;
    let lines: Vec<&str> = status.lines().collect();
    let shown = lines.iter().take(5).map(|line| format!("\n  {line}")).collect::<Vec<_>>().concat();
    match lines.len() {
        0 => Ok(()),
        count => Err(format!("the tree {} has {count} changes; commit or stash them first{shown}", root.display())),
    }
}
