//! How the clone depends on the engine: by git, by path, or on a copy in `vendor/`.
//!
//! Next: [`crate::parts`].

use std::{
    fmt,
    path::{Component, Path, PathBuf},
};

use crate::{
    arguments::{Arguments, Task},
    edits::{self, Edit},
    manifest, source,
    source::Place,
    tree::Tree,
};

/// Where the engine is in the template.
pub(crate) const FOLDER: &str = "crates/chassis";
/// Where a vendored one is in the clone.
const VENDORED: &str = "vendor/chassis";
/// The crates that are vendored: the engine, and what it depends on by path.
const CRATES: [&str; 3] = ["chassis", "heap", "wsgi"];
/// Parts of the engine that only its own developers need.
const LEFT: [&str; 4] =
    ["crates/chassis/tests/", "crates/chassis/fuzz/", "crates/chassis/benches/", "crates/chassis/engine.mk"];
/// rustfmt's settings of vendor/: nothing there is the service's to format.
const UNFORMATTED: &str =
    "# The engine's own files; `make engine-update` replaces them.\ndisable_all_formatting = true\n";

/// Which of the three ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Fetched by cargo, updated by `cargo update`, seen by audit tools. Needs a repository that builders can reach.
    Git,
    /// The template's own folder; every service of a monorepo changes with it.
    Path,
    /// A copy in the clone, for builds without a network. `make engine-update` replaces it.
    Vendor,
}

impl Mode {
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        match name {
            "git" => Ok(Self::Git),
            "path" => Ok(Self::Path),
            "vendor" => Ok(Self::Vendor),
            _ => Err(format!("--engine {name}: there are git, path and vendor")),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Git => "git",
            Self::Path => "path",
            Self::Vendor => "vendor",
        })
    }
}

/// The clone's dependency on the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Engine {
    pub(crate) mode: Mode,
    /// The keys of the dependency in Cargo.toml that say where the engine is.
    pub(crate) keys: String,
    /// The source in Cargo.lock, of a dependency by git.
    pub(crate) locked: Option<String>,
    /// The template's commit that the engine is of.
    pub(crate) commit: String,
}

impl Engine {
    /// The one that is asked for, or the default for `source`, for a clone in `target`.
    ///
    /// # Errors
    /// When it cannot be had there.
    pub(crate) fn choose(root: &Path, source: &str, target: &Path, arguments: &Arguments) -> Result<Self, String> {
        let commit = source::commit(root)?;
        if let Some(keys) = &arguments.render {
            return Ok(Self { mode: mode_of(keys), keys: keys.clone(), locked: None, commit });
        }
        let default = if source::is_remote(source) { Mode::Git } else { Mode::Vendor };
        let mode = arguments.engine.unwrap_or(default);
        match mode {
            Mode::Git if source.is_empty() => Err("--engine git needs the template's URL, as --source".into()),
            Mode::Git => Ok(Self::git(source, source::locate(root, source)?)),
            Mode::Path if matches!(arguments.task, Task::InPlace { .. }) => {
                Err("--engine path needs a template that stays; with --in-place, take git or vendor".into())
            }
            Mode::Path => {
                let keys = format!("path = \"{}\"", relative(target, &root.join(FOLDER))?);
                Ok(Self { mode, keys, locked: None, commit })
            }
            Mode::Vendor => Ok(Self { mode, keys: format!("path = \"{VENDORED}\""), locked: None, commit }),
        }
    }

    /// A branch, and no commit or tag: Cargo.lock pins the commit, and `cargo update` moves it.
    fn git(source: &str, Place { branch, commit }: Place) -> Self {
        let url = if source.starts_with('/') { format!("file://{source}") } else { source.to_owned() };
        let locked = format!("git+{url}?branch={}#{commit}", encoded(&branch));
        Self { mode: Mode::Git, keys: format!("git = \"{url}\", branch = \"{branch}\""), locked: Some(locked), commit }
    }

    /// What the command says of it, where nobody asked for it.
    pub(crate) fn note(&self, arguments: &Arguments) -> String {
        match (self.mode, arguments.engine) {
            (Mode::Vendor, None) => {
                "The engine is copied to vendor/, as the template has no https or ssh remote; --engine git or path are the other ways.\n"
                    .to_owned()
            }
            _ => String::new(),
        }
    }

    /// The URL of a dependency by git.
    fn url(&self) -> Option<&str> {
        let (_, rest) = self.keys.split_once("git = \"")?;
        rest.split('"').next()
    }
}

/// The mode of a dependency with these keys.
fn mode_of(keys: &str) -> Mode {
    if keys.contains("git = ") {
        Mode::Git
    } else if keys.contains(VENDORED) {
        Mode::Vendor
    } else {
        Mode::Path
    }
}

/// Makes `tree`, of which `template` is the original, depend on the engine.
///
/// # Errors
/// When a file is not as expected.
pub(crate) fn depend(tree: &mut Tree, template: &Tree, engine: &Engine) -> Result<(), String> {
    let text = manifest::with_engine(tree.text("Cargo.toml")?, &engine.keys)?;
    tree.set("Cargo.toml", text);
    if engine.mode == Mode::Vendor {
        vendor(tree, template);
    }
    let mut edits = image(engine);
    if let Some(url) = engine.url() {
        let old = "unknown-git = \"deny\"\n";
        edits.push(Edit::new("deny.toml", old, format!("{old}allow-git = [\"{url}\"]\n")));
    }
    edits::apply(tree, &edits)
}

fn vendor(tree: &mut Tree, template: &Tree) {
    for name in CRATES {
        for path in template.below(&format!("crates/{name}/")) {
            if !LEFT.iter().any(|left| path.starts_with(left)) {
                let entry = template.0[&path].clone();
                tree.0.insert(path.replacen("crates/", "vendor/", 1), entry);
            }
        }
    }
    tree.set("vendor/rustfmt.toml", UNFORMATTED);
}

/// The image is built where the engine is in reach.
fn image(engine: &Engine) -> Vec<Edit> {
    let old = "# Members of the workspace, whose manifests cargo reads.\nCOPY crates crates\nCOPY template/examples template/examples\n";
    let ignored = "!crates\n!template/examples\n";
    let copied = |new: &str| Edit::new("Dockerfile", old, new);
    let sent = |new: &str| Edit::new(".dockerignore", ignored, new);
    match engine.mode {
        Mode::Git => vec![copied(""), sent("")],
        Mode::Vendor => vec![copied("# The engine.\nCOPY vendor vendor\n"), sent("!vendor\n")],
        Mode::Path => {
            let path = engine.keys.split('"').nth(1).unwrap_or_default();
            let crates = path.strip_suffix("/chassis").unwrap_or(path);
            let place = absolute(&format!("/build/{crates}"));
            vec![
                copied(&format!(
                    "# The engine, which is outside of this folder: `--build-context engine={crates}`, as `make image` has it.\n\
                     # hadolint ignore=DL3022\n\
                     COPY --from=engine . {place}\n"
                )),
                sent(""),
                Edit::new(
                    ".github/workflows/release.yaml",
                    "docker buildx build ",
                    format!("docker buildx build --build-context engine={crates} "),
                ),
                Edit::new(
                    "Makefile",
                    "\n\t  --build-arg SERVICE_COMMIT=",
                    format!("\n\t  --build-context engine={crates} --build-arg SERVICE_COMMIT="),
                ),
            ]
        }
    }
}

/// `path` without `..`, as the kernel resolves it.
fn absolute(path: &str) -> String {
    let mut resolved = PathBuf::from("/");
    for part in Path::new(path).components() {
        match part {
            Component::Normal(part) => resolved.push(part),
            Component::ParentDir => drop(resolved.pop()),
            _ => {}
        }
    }
    resolved.display().to_string()
}

/// `to`, as seen from the folder `from`; both are absolute.
fn relative(from: &Path, to: &Path) -> Result<String, String> {
    let shared = from.components().zip(to.components()).take_while(|(one, other)| one == other).count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(to.components().skip(shared)).collect();
    match path.to_str() {
        Some(text) if !text.contains(['"', '\\']) => Ok(text.to_owned()),
        _ => Err(format!("{}: Cargo.toml cannot name this path; take --engine vendor", path.display())),
    }
}

/// A branch as Cargo.lock has it in a URL's query.
fn encoded(branch: &str) -> String {
    let mut text = String::new();
    for byte in branch.bytes() {
        if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) {
            text.push(byte.into());
        } else {
            let digit = |half: u8| char::from(b"0123456789ABCDEF"[usize::from(half)]);
            text.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_relative_to_the_clone() {
        let of = |from, to| relative(Path::new(from), Path::new(to)).unwrap();
        assert_eq!(of("/a/services/orders", "/a/engine/crates/chassis"), "../../engine/crates/chassis");
        assert_eq!(of("/a/orders", "/a/template/crates/chassis"), "../template/crates/chassis");
        assert_eq!(absolute("/build/../template/crates"), "/template/crates");
        assert_eq!(absolute("/build/../../../crates"), "/crates");
    }

    #[test]
    fn the_lock_file_names_the_branch_and_the_commit() {
        let place = Place { branch: "release/1".into(), commit: "abc".into() };
        let engine = Engine::git("https://example.com/t.git", place);
        assert_eq!(engine.keys, "git = \"https://example.com/t.git\", branch = \"release/1\"");
        assert_eq!(engine.locked.as_deref(), Some("git+https://example.com/t.git?branch=release%2F1#abc"));
        assert_eq!(engine.url(), Some("https://example.com/t.git"));
    }

    #[test]
    fn the_keys_say_the_mode() {
        assert_eq!(mode_of("git = \"https://x\", tag = \"v1\""), Mode::Git);
        assert_eq!(mode_of("path = \"vendor/chassis\""), Mode::Vendor);
        assert_eq!(mode_of("path = \"../t/crates/chassis\""), Mode::Path);
    }
}
