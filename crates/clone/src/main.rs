//! Starts a new service from this template: the service's files under another name, and a dependency on the engine.
//!
//! The standard library only, so that it builds in a moment. All edits are made in memory first; see `docs/cloning.md`.
//!
//! Next: [`arguments`].

mod arguments;
mod bare;
mod edits;
mod engine;
mod git;
mod lock;
mod manifest;
mod manifests;
mod merge;
mod name;
mod pages;
mod parts;
mod place;
mod rename;
mod renamed;
mod render;
mod sha1;
mod source;
mod tables;
mod tree;
mod upgrade;

use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use arguments::{Arguments, Task};
use place::History;
use render::Clone;
use tree::Tree;

fn main() -> ExitCode {
    let done = arguments::words(env::args_os().skip(1))
        .and_then(|words| arguments::parse(words.into_iter()))
        .and_then(|arguments| run(&arguments));
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
    match &arguments.task {
        Task::Help => Ok(arguments::HELP.to_owned()),
        Task::New { name, folder } => start(name, folder, arguments),
        Task::InPlace { name } => replace(name, arguments),
        Task::Upgrade { folder } => upgrade::run(&root()?, folder, arguments),
    }
}

fn start(name: &str, folder: &Path, arguments: &Arguments) -> Result<String, String> {
    name::check(name)?;
    let root = root()?;
    let target = place::check(&root, folder)?;
    git::is_clean(&root)?;
    let template = Tree::read(&root)?;
    let clone = Clone::of(&template, name, &root, &target, arguments)?;
    let message = format!("Begin {name}\n\nFrom the template's commit {}.", clone.engine.commit);
    let monorepo = target.parent().and_then(|above| git::line(above, &["rev-parse", "--show-toplevel"]));
    let is_plain = arguments.no_history || arguments.render.is_some() || monorepo.is_some();
    let history = place::create(&target, &clone.tree, (!is_plain).then_some(&*message))?;
    let note = monorepo.map(|root| format!("It has no history of its own, as it is inside {root}.\n"));
    Ok(clone.engine.note(arguments) + &note.unwrap_or_default() + &next(name, Some(folder), history))
}

fn replace(name: &str, arguments: &Arguments) -> Result<String, String> {
    name::check(name)?;
    let root = root()?;
    git::is_clean(&root)?;
    let template = Tree::read(&root)?;
    let clone = Clone::of(&template, name, &root, &root, arguments)?;
    place::replace(&root, &template, &clone.tree)?;
    Ok(clone.engine.note(arguments) + &next(name, None, History::None))
}

/// The template's folder: the present one or one above it. In a monorepo it is not the repository's root.
fn root() -> Result<PathBuf, String> {
    let here = env::current_dir().map_err(|error| format!("the present folder: {error}"))?;
    let is_template = |folder: &&Path| folder.join("crates/clone").is_dir() && folder.join(engine::FOLDER).is_dir();
    match here.ancestors().find(is_template) {
        Some(root) => Ok(root.to_owned()),
        None => Err(format!("{} is not the template, whose engine is in {}", here.display(), engine::FOLDER)),
    }
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
