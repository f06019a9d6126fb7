//! Folders, programs and repositories for the tests.

use std::{
    cell::RefCell,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

/// In two halves, so that this file does not hold it.
pub(crate) const TEMPLATE: &str = concat!("flo", "tilla");

/// A folder that goes when it is dropped. It is the same in each run, so that builds in it are found again; it is outside
/// of this repository, as a clone is, so that cargo and git see no other's files above it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let checkout = repository().to_str().unwrap().replace('/', "-");
        let path = env::temp_dir().canonicalize().unwrap().join(format!("clones-of{checkout}")).join(name);
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

thread_local! {
    /// What the programs of this test get beyond the test's own environment.
    static ENVIRONMENT: RefCell<Vec<(String, String)>> = const { RefCell::new(Vec::new()) };
}

/// For all programs that this test runs from now on.
pub(crate) fn environment(more: &[(&str, &str)]) {
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    ENVIRONMENT.with_borrow_mut(|kept| kept.extend(more));
}

pub(crate) fn run(folder: &Path, program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program);
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "UPDATE", "FULL"] {
        command.env_remove(name);
    }
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Test").env(format!("GIT_{role}_EMAIL"), "test@example.com");
        // The same commits in each run, so that cargo finds what it has built of them.
        command.env(format!("GIT_{role}_DATE"), "2026-01-01T00:00:00Z");
    }
    ENVIRONMENT.with_borrow(|kept| command.envs(kept.iter().map(|(name, value)| (name, value))));
    command.envs(environment.iter().copied());
    command.args(arguments).current_dir(folder).output().unwrap_or_else(|error| panic!("running {program}: {error}"))
}

pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs it to its good end.
pub(crate) fn good(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let done = run(folder, program, arguments, &[]);
    assert!(done.status.success(), "{program} {arguments:?} in {}:\n{}", folder.display(), text(&done));
    text(&done)
}

pub(crate) fn clone(template: &Path, arguments: &[&str]) -> Output {
    run(template, env!("CARGO_BIN_EXE_clone"), arguments, &[])
}

pub(crate) fn refused(template: &Path, arguments: &[&str]) -> String {
    let done = clone(template, arguments);
    assert!(!done.status.success(), "{arguments:?} was not refused:\n{}", text(&done));
    text(&done)
}

/// This tree as it is, committed or not, as a repository with one commit.
pub(crate) fn template(folder: &Folder) -> PathBuf {
    let path = folder.0.join("template");
    fs::create_dir_all(&path).unwrap();
    good(&path, "git", &["init", "--quiet", "--initial-branch=main"]);
    copy_tree(&path);
    commit(&path, "A template");
    path
}

/// The files of this tree, committed or not.
pub(crate) fn copy_tree(into: &Path) {
    let listed = good(&repository(), "git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (repository().join(name), into.join(name));
        if from.is_file() {
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// The template's remote `origin`: a bare repository, in a folder.
pub(crate) fn origin(template: &Path) -> PathBuf {
    let bare = template.with_file_name("engine.git");
    good(template, "git", &["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    good(template, "git", &["remote", "add", "origin", &format!("file://{}", bare.display())]);
    good(template, "git", &["fetch", "--quiet", "origin"]);
    bare
}

pub(crate) fn commit(folder: &Path, message: &str) {
    good(folder, "git", &["add", "--all", "--force"]);
    good(folder, "git", &["commit", "--quiet", "--message", message]);
}

pub(crate) fn edit(folder: &Path, path: &str, old: &str, new: &str) {
    let text = fs::read_to_string(folder.join(path)).unwrap();
    assert!(text.contains(old), "{path} has no {old:?}");
    fs::write(folder.join(path), text.replacen(old, new, 1)).unwrap();
}

/// Cargo in a clone, with the dependencies that are built already.
pub(crate) fn cargo(folder: &Path, arguments: &[&str]) -> String {
    cargo_with(folder, arguments, &[])
}

pub(crate) fn cargo_with(folder: &Path, arguments: &[&str], more: &[(&str, &str)]) -> String {
    static BUILT: OnceLock<String> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
        tmp.parent().unwrap().to_str().unwrap().to_owned()
    });
    let own = folder.join("target").to_str().unwrap().to_owned();
    let mut environment = vec![("CARGO_BUILD_BUILD_DIR", built.as_str()), ("CARGO_TARGET_DIR", &own)];
    environment.extend(more);
    let done = run(folder, env!("CARGO"), arguments, &environment);
    assert!(done.status.success(), "cargo {arguments:?} in {}:\n{}", folder.display(), text(&done));
    text(&done)
}

/// The chart and the manifests agree, and the chart passes helm's lint.
pub(crate) fn chart_is_good(folder: &Path) {
    std::os::unix::fs::symlink(repository().join(".tools"), folder.join(".tools")).unwrap();
    good(folder, "scripts/gate", &["chart/render-k8s", "--check"]);
    let helm = folder.join(".tools/bin/helm");
    good(folder, helm.to_str().unwrap(), &["lint", "--strict", "helm"]);
}

/// What the pages link to is there, and so is each target of make that they name.
pub(crate) fn pages_are_good(folder: &Path) {
    // The template's own check, which looks at the tree that it is in.
    let check = ["template/tests/docs", "tests/docs"].map(|path| repository().join(path));
    let check = check.iter().find(|path| path.is_dir()).expect("a check of pages");
    let borrowed = folder.join("borrowed/tests/docs");
    fs::create_dir_all(borrowed.parent().unwrap()).unwrap();
    good(folder, "cp", &["-R", check.to_str().unwrap(), borrowed.to_str().unwrap()]);
    let program = borrowed.join("check.py");
    let source = fs::read_to_string(&program).unwrap();
    let root = source.lines().find(|line| line.starts_with("ROOT = ")).expect("where its root is").to_owned();
    fs::write(&program, source.replace(&root, &format!("ROOT = Path({:?})", folder.to_str().unwrap()))).unwrap();
    // It reads the settings for tests by the gate's module.
    let gate = repository().join("crates/chassis/gate");
    let arguments = ["-B", program.to_str().unwrap(), "--links"];
    let done = run(folder, "python3", &arguments, &[("PYTHONPATH", gate.to_str().unwrap())]);
    assert!(done.status.success(), "pages of {}:\n{}", folder.display(), text(&done));
    fs::remove_dir_all(folder.join("borrowed")).unwrap();
}

/// Which files of a clone, git's included, name the template.
pub(crate) fn named(folder: &Path) -> Vec<String> {
    let done = run(folder, "grep", &["-rliI", TEMPLATE, "."], &[]);
    String::from_utf8_lossy(&done.stdout)
        .lines()
        .filter(|name| !name.starts_with("./LICENSE"))
        .map(str::to_owned)
        .collect()
}
