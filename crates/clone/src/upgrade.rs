//! `upgrade`: a clone of the form before, with the engine copied into src/chassis, becomes one that depends on it.
//!
//! A merge of three: the clone, what the template gave it (its own commit, made by the clone command of that time), and
//! what the template of today would give. What the team never touched is replaced; what it wrote stays. In src, the
//! paths `crate::chassis` become `chassis`, types that have another name are imported as the one that the code knows, and
//! nothing else is edited.
//!
//! Next: [`crate::renamed`].

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{
    arguments::Arguments,
    bare,
    engine::Engine,
    git, lock, merge,
    place::{self, Scratch},
    rename::STAMP,
    renamed,
    render::Clone,
    tree::Tree,
};

/// Where the engine is in a clone of the form before.
const COPIED: &str = "src/chassis/";

/// What the stamp of the form before says.
struct Stamp {
    name: String,
    source: String,
    commit: String,
    tree: String,
    bare: bool,
    with: String,
}

impl Stamp {
    fn read(tree: &Tree) -> Result<Self, String> {
        let text = tree.text(STAMP)?;
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))?;
            Some(line.trim_matches('"').to_owned())
        };
        let needed = |key: &str| value(key).ok_or_else(|| format!("{STAMP}: no {key}"));
        Ok(Self {
            name: needed("name")?,
            source: value("source").unwrap_or_default(),
            commit: needed("commit")?,
            tree: needed("tree")?,
            bare: value("bare").as_deref() == Some("true"),
            with: value("with").unwrap_or_default(),
        })
    }
}

/// Brings the clone in `folder` to the form of the template in `root`, and leaves the result staged.
///
/// # Errors
/// When `folder` is no such clone, has changes, or comes from a commit that is not in `root`.
pub(crate) fn run(root: &Path, folder: &Path, arguments: &Arguments) -> Result<String, String> {
    let folder = folder.canonicalize().map_err(|error| format!("{}: {error}", folder.display()))?;
    git::is_clean(root)?;
    git::is_clean(&folder)?;
    let old = Tree::read(&folder)?;
    let stamp = Stamp::read(&old)?;
    if old.below(COPIED).is_empty() {
        return Err(format!("{} has no {COPIED}: `make template-update` brings it up to date", folder.display()));
    }
    let source = arguments.source.clone().or_else(|| (!stamp.source.is_empty()).then(|| stamp.source.clone()));
    let arguments = Arguments { bare: stamp.bare, source, ..arguments.clone() };
    let base = before(root, &stamp)?;
    let template = Tree::read(root)?;
    let Clone { tree: mut new, engine } = Clone::of(&template, &stamp.name, root, &folder, &arguments)?;
    // Not the sample's: the routes are the team's by now.
    bare::with_tests(&mut new, &template);
    let mut merged = merge::three(&old, &base, &new, &renamed::types(&template))?;
    lock(&mut merged.tree, &old, root, &engine)?;
    place::replace(&folder, &old, &merged.tree)?;
    git::output(&folder, &["add", "--all"])?;
    Ok(engine.note(&arguments) + &said(&stamp.name, &engine, &merged))
}

/// The lock file of today's manifest, with the clone's versions where it has them.
fn lock(tree: &mut Tree, old: &Tree, root: &Path, engine: &Engine) -> Result<(), String> {
    tree.set("Cargo.lock", old.text("Cargo.lock")?);
    lock::refresh(tree, root, engine)
}

/// What the template gave the clone, by the clone command of that time.
fn before(root: &Path, stamp: &Stamp) -> Result<Tree, String> {
    let commit = find(root, stamp)?;
    let scratch = Scratch::in_folder(&env::temp_dir(), "upgrade")?;
    let then = scratch.0.join("then");
    git::output(root, &["worktree", "add", "--quiet", "--detach", path(&then)?, &commit])?;
    let rendered = render(&scratch.0, &then, stamp);
    git::output(root, &["worktree", "remove", "--force", path(&then)?])?;
    let rendered = rendered?;
    git::output(&rendered, &["init", "--quiet"])?;
    git::output(&rendered, &["add", "--all", "--force"])?;
    Tree::read(&rendered)
}

fn find(root: &Path, stamp: &Stamp) -> Result<String, String> {
    let Stamp { commit, tree, .. } = stamp;
    if git::output(root, &["cat-file", "-e", &format!("{commit}^{{commit}}")]).is_ok() {
        return Ok(commit.clone());
    }
    // A copy with a history of its own.
    let log = git::output(root, &["log", "--all", "--format=%H %T"])?;
    let found = log.lines().find_map(|line| line.strip_suffix(&format!(" {tree}")));
    found.map(str::to_owned).ok_or_else(|| {
        format!(
            "{} has neither the commit nor the tree that the clone's {STAMP} names; if it is shallow: git fetch --unshallow",
            root.display()
        )
    })
}

fn render(scratch: &Path, then: &Path, stamp: &Stamp) -> Result<PathBuf, String> {
    let (program, rendered) = (scratch.join("clone"), scratch.join("rendered"));
    let main = then.join("crates/clone/src/main.rs");
    git::program(
        scratch,
        "rustc",
        &["--edition", "2024", "--crate-name", "clone", "-o", path(&program)?, path(&main)?],
    )?;
    let mut words = vec![&*stamp.name, path(&rendered)?, "--no-history", "--source", "."];
    if stamp.bare {
        words.push("--bare");
    }
    if !stamp.with.is_empty() {
        words.extend(["--with", &stamp.with]);
    }
    git::program(then, path(&program)?, &words)?;
    Ok(rendered)
}

fn path(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{} is not in UTF-8", path.display()))
}

fn said(name: &str, engine: &Engine, merged: &merge::Merged) -> String {
    let mut text = format!("{name} depends on the engine by {}; all is staged.\n", engine.mode);
    let mut list = |title: &str, paths: &[String]| {
        if !paths.is_empty() {
            text += title;
            text += ":\n  ";
            text += &paths.join("\n  ");
            text.push('\n');
        }
    };
    list("Conflicts, marked in these files", &merged.conflicts);
    list("Changed by you and gone from the template; see whether you still need them", &merged.kept);
    list("You had changed the engine here; offer it to the template, as it is not in the engine", &merged.lost);
    text + "Next:\n  cargo fmt\n  make generate\n  make test\n  git commit --message 'Depend on the engine'\n"
}
