//! Where the template is: the repository that a clone's engine and its updates come from, and which commit this tree is.
//!
//! Next: [`crate::tree`].

use std::path::Path;

use crate::{
    arguments::{Arguments, Task},
    git,
    rename::STAMP,
};

/// The ref that a fetch of the template's newest commit goes to; scripts/template-update has the same.
const FETCHED: &str = "refs/template/head";

/// A commit of the template, and a branch of its repository that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) branch: String,
    pub(crate) commit: String,
}

/// The template's repository, as a URL or a folder; empty where nobody said.
///
/// # Errors
/// When it is a folder that is not there, or has a letter that the stamp cannot hold.
pub(crate) fn of(root: &Path, arguments: &Arguments) -> Result<String, String> {
    let is_copy = matches!(arguments.task, Task::InPlace { .. });
    let source = match (&arguments.source, origin(root)) {
        // The clone asks from its own folder.
        (Some(source), _) if Path::new(source).is_dir() => match Path::new(source).canonicalize() {
            Ok(folder) => folder.display().to_string(),
            Err(error) => return Err(format!("--source {source}: {error}")),
        },
        (Some(source), _) => url(source),
        // A copy's remote is its own, not the template's.
        (None, _) if is_copy => String::new(),
        (None, Some(origin)) => origin,
        (None, None) => root.display().to_string(),
    };
    if let Some(letter) = source.chars().find(|letter| *letter == '"' || letter.is_control()) {
        return Err(format!(
            "the source {source:?} has {letter:?}, which {STAMP} cannot hold; give another with --source"
        ));
    }
    Ok(source)
}

/// As it is configured: `git remote get-url` would show what this user's `insteadOf` makes of it.
fn origin(root: &Path) -> Option<String> {
    git::line(root, &["config", "--get", "remote.origin.url"]).map(|origin| url(&origin))
}

/// As cargo takes it: `git@host:path` is written out, and a password or token is left out.
fn url(source: &str) -> String {
    let Some((scheme, rest)) = source.split_once("://") else {
        return match source.split_once(':') {
            Some((host, path)) if host.contains('@') && !host.contains('/') => {
                format!("ssh://{host}/{}", path.trim_start_matches('/'))
            }
            _ => source.to_owned(),
        };
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    match authority.rsplit_once('@') {
        // The clone's files are for everybody who reads its repository.
        Some((_, host)) if scheme.starts_with("http") => format!("{scheme}://{host}/{path}"),
        _ => source.to_owned(),
    }
}

/// Finds this tree's commit in the template's repository `source`.
///
/// # Errors
/// When the repository does not answer, or has no such commit.
pub(crate) fn locate(root: &Path, source: &str) -> Result<Place, String> {
    let commit = commit(root)?;
    if origin(root).as_deref() == Some(source)
        && let Some(branch) = pushed_to(root)
    {
        return Ok(Place { branch, commit });
    }
    let listed = git::output(root, &["ls-remote", "--symref", "--", source, "HEAD"])?;
    let branch = listed.lines().find_map(|line| line.strip_prefix("ref: refs/heads/")?.split('\t').next());
    let branch = branch.ok_or_else(|| format!("{source} has no default branch"))?.to_owned();
    git::output(
        root,
        &["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", source, &format!("+HEAD:{FETCHED}")],
    )?;
    let found = same_tree(root, &commit);
    git::output(root, &["update-ref", "-d", FETCHED])?;
    match found? {
        Some(commit) => Ok(Place { branch, commit }),
        None => Err(format!(
            "{source} has no commit with the files of {}; push it first, or take --engine vendor",
            &commit[..12]
        )),
    }
}

/// A branch of the remote that has the present commit, as of the last fetch: its default one, the present one, any.
fn pushed_to(root: &Path) -> Option<String> {
    let format = "--format=%(refname:lstrip=3)";
    let listed = git::output(root, &["for-each-ref", "--contains", "HEAD", format, "refs/remotes/origin"]).ok()?;
    let branches: Vec<&str> = listed.lines().filter(|branch| *branch != "HEAD").collect();
    let default = git::line(root, &["symbolic-ref", "--short", "refs/remotes/origin/HEAD"])
        .and_then(|branch| branch.strip_prefix("origin/").map(str::to_owned));
    let present = git::line(root, &["symbolic-ref", "--short", "HEAD"]);
    let preferred = [default, present].into_iter().flatten().find(|branch| branches.contains(&branch.as_str()));
    preferred.or_else(|| branches.first().map(|branch| (*branch).to_owned()))
}

/// The newest fetched commit with the tree of `commit`: a copy has a history of its own.
fn same_tree(root: &Path, commit: &str) -> Result<Option<String>, String> {
    if git::output(root, &["merge-base", "--is-ancestor", commit, FETCHED]).is_ok() {
        return Ok(Some(commit.to_owned()));
    }
    let tree = tree(root)?;
    let log = git::output(root, &["log", "--format=%H %T", FETCHED])?;
    Ok(log.lines().find_map(|line| line.strip_suffix(&format!(" {tree}")).map(str::to_owned)))
}

/// The present commit.
///
/// # Errors
/// When there is none.
pub(crate) fn commit(root: &Path) -> Result<String, String> {
    Ok(git::output(root, &["rev-parse", "HEAD"])?.trim_end().to_owned())
}

/// The id of the present commit's files; it finds the template's commit where a copy has a history of its own.
///
/// # Errors
/// When there is no commit.
pub(crate) fn tree(root: &Path) -> Result<String, String> {
    Ok(git::output(root, &["rev-parse", "HEAD:./"])?.trim_end().to_owned())
}

/// Whether `source` is one that every machine of a team reaches.
pub(crate) fn is_remote(source: &str) -> bool {
    source.starts_with("https://") || source.starts_with("ssh://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_written_as_cargo_takes_it_and_without_a_password() {
        for (source, expected) in [
            ("git@example.com:team/t.git", "ssh://git@example.com/team/t.git"),
            ("https://me:token@example.com/t.git", "https://example.com/t.git"),
            ("ssh://git@example.com/t.git", "ssh://git@example.com/t.git"),
            ("https://example.com/t", "https://example.com/t"),
            ("/srv/t.git", "/srv/t.git"),
            ("file:///srv/t.git", "file:///srv/t.git"),
        ] {
            assert_eq!(url(source), expected);
        }
    }

    #[test]
    fn https_and_ssh_are_remote() {
        assert!(is_remote("https://example.com/t") && is_remote("ssh://git@example.com/t"));
        assert!(!is_remote("http://localhost/t") && !is_remote("/srv/t") && !is_remote(""));
    }
}
