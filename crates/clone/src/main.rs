//! Starts a new service from this one: a copy of the tracked files under another name, and without what a clone has no
//! use for.
//!
//! The standard library only, so that it builds in a moment. All edits are made in memory first; see `docs/cloning.md`.
//!
//! Next: [`arguments`].

mod arguments;
mod bare;
mod edits;
mod git;
mod lock;
mod manifests;
mod name;
mod pages;
mod parts;
mod place;
mod rename;
mod sha1;
mod tree;

use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use arguments::Arguments;
use place::History;
use rename::STAMP;
use tree::Tree;

fn main() -> ExitCode {
    let done = arguments::words(env::args_os().skip(1))
        .and_then(|words| arguments::parse(words.into_iter()))
        .and_then(|arguments| if arguments.help { Ok(arguments::HELP.to_owned()) } else { run(&arguments) });
    match done {
        Ok(text) => match io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
            _ => ExitCode::SUCCESS,
        },
        Err(error) => {
            eprintln!("clone: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Does it, and says what to do next.
fn run(arguments: &Arguments) -> Result<String, String> {
    name::check(&arguments.name)?;
    let root = root()?;
    if let Some(name) = arguments.with.iter().find(|name| **name == arguments.name) {
        return Err(format!("the name {name:?} is that of a crate that is to come along"));
    }
    let target = arguments.folder.as_deref().map(|folder| place::check(&root, folder)).transpose()?;
    git::is_clean(&root)?;
    let old = Tree::read(&root)?;
    let (new, notes) = cloned(&root, &old, arguments)?;
    let Some(target) = target else {
        place::replace(&root, &old, &new)?;
        return Ok(notes + &next(&arguments.name, None, History::None));
    };
    let message = format!("Begin {}\n\nFrom the template's commit {}.", arguments.name, commit(&root)?);
    let history = place::create(&target, &new, (!arguments.no_history).then_some(&*message))?;
    Ok(notes + &next(&arguments.name, arguments.folder.as_deref(), history))
}

fn root() -> Result<PathBuf, String> {
    let here = env::current_dir().map_err(|error| format!("the present folder: {error}"))?;
    let root = PathBuf::from(git::output(&here, &["rev-parse", "--show-toplevel"])?.trim_end());
    let is_ours = root.join("crates/clone").is_dir() && root.join("crates/chassis").is_dir();
    if is_ours { Ok(root) } else { Err(format!("{} is no service to start from", root.display())) }
}

/// The clone's files, and what its owner should know.
fn cloned(root: &Path, old: &Tree, arguments: &Arguments) -> Result<(Tree, String), String> {
    let (was, is) = (rename::name_of(old)?, &arguments.name);
    let mut new = old.clone();
    parts::leave_out(&mut new, &arguments.with)?;
    if arguments.bare {
        bare::strip(&mut new)?;
    }
    pages::mend(&mut new, old)?;
    rename::rename(&mut new, is)?;
    let is_clone = new.0.remove(STAMP).is_some();
    if is_clone && was == *is && arguments.folder.is_none() {
        return Err(format!("{}: this is {is} already, and {STAMP} says where it comes from", root.display()));
    }
    let left = if was == *is { Vec::new() } else { rename::leftovers(&new, &was, is) };
    if !left.is_empty() && !is_clone {
        return Err(format!("still named {was}, in places that no edit knows:\n  {}", left.join("\n  ")));
    }
    new.set(STAMP, stamp(root, &was, arguments)?);
    lock::refresh(&mut new)?;
    // A clone's own files may name it, and its name may be any word: to look at, no reason to stop.
    let notes = if left.is_empty() || left.len() > 20 {
        String::new()
    } else {
        format!("These files still say {was}; see whether they mean the service:\n  {}\n", left.join("\n  "))
    };
    Ok((new, notes))
}

fn commit(root: &Path) -> Result<String, String> {
    Ok(git::output(root, &["rev-parse", "HEAD"])?.trim_end().to_owned())
}

/// Where the clone comes from. The tree's id finds the template's commit where a copy has a history of its own.
fn stamp(root: &Path, template: &str, arguments: &Arguments) -> Result<String, String> {
    let is_copy = arguments.folder.is_none();
    let origin = git::line(root, &["remote", "get-url", "origin"]);
    let source = match (&arguments.source, origin) {
        // The clone asks from its own folder.
        (Some(source), _) if Path::new(source).is_dir() => match Path::new(source).canonicalize() {
            Ok(folder) => folder.display().to_string(),
            Err(error) => return Err(format!("--source {source}: {error}")),
        },
        (Some(source), _) => source.clone(),
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
    let commit = commit(root)?;
    let tree = git::output(root, &["rev-parse", "HEAD^{tree}"])?;
    let Arguments { name, bare, with, .. } = arguments;
    Ok(format!(
        "# Where this service comes from; `make template-update` reads it, and moves the commit on.\n\
         template = \"{template}\"\nsource = \"{source}\"\ncommit = \"{commit}\"\ntree = \"{}\"\nname = \"{name}\"\n\
         bare = {bare}\nwith = \"{}\"\n",
        tree.trim_end(),
        with.join(","),
    ))
}

/// The next three commands.
fn next(name: &str, folder: Option<&Path>, history: History) -> String {
    let who = "git config --global user.name NAME; git config --global user.email ADDRESS";
    let first = match (folder, history) {
        (Some(folder), History::Staged) => {
            let folder = quoted(folder);
            return format!(
                "{name} is in {folder}. git does not know who you are, so all is staged and nothing committed. Next:\n  \
                 {who}\n  cd {folder} && git commit --message 'Begin {name}'\n  cargo run\n"
            );
        }
        (Some(folder), _) => format!("cd {}", quoted(folder)),
        (None, _) => format!("git add --all && git commit --message 'Begin {name}'"),
    };
    format!("{name} is ready. Next:\n  {first}\n  cargo run\n  make test\n")
}

/// As a shell takes it for one word.
fn quoted(folder: &Path) -> String {
    let text = folder.display().to_string();
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+@%:,".contains(letter);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
