//! Clones of this repository, made, checked and updated in a folder of their own.
//!
//! `UPDATE=1` renews what bare clones have of generated files; `make generate` does that. `FULL=yes` makes all of the odd names, and is what `make test-full` does.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

/// In two halves, so that this file does not hold it.
const TEMPLATE: &str = concat!("flo", "tilla");

/// A folder that goes when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn names(&self) -> Vec<String> {
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

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn run(folder: &Path, program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program);
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "UPDATE", "FULL"] {
        command.env_remove(name);
    }
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Test").env(format!("GIT_{role}_EMAIL"), "test@example.com");
    }
    command.envs(environment.iter().copied());
    command.args(arguments).current_dir(folder).output().unwrap_or_else(|error| panic!("running {program}: {error}"))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs it to its good end.
fn good(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let done = run(folder, program, arguments, &[]);
    assert!(done.status.success(), "{program} {arguments:?} in {}:\n{}", folder.display(), text(&done));
    text(&done)
}

fn clone(template: &Path, arguments: &[&str]) -> Output {
    run(template, env!("CARGO_BIN_EXE_clone"), arguments, &[])
}

fn refused(template: &Path, arguments: &[&str]) -> String {
    let done = clone(template, arguments);
    assert!(!done.status.success(), "{arguments:?} was not refused:\n{}", text(&done));
    text(&done)
}

/// This tree as it is, committed or not, as a repository with one commit.
fn template(folder: &Folder) -> PathBuf {
    let path = folder.0.join("template");
    let listed = good(&repository(), "git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (repository().join(name), path.join(name));
        if from.is_file() {
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(&from, &to).unwrap();
        }
    }
    good(&path, "git", &["init", "--quiet", "--initial-branch=main"]);
    commit(&path, "A template");
    path
}

fn commit(folder: &Path, message: &str) {
    good(folder, "git", &["add", "--all", "--force"]);
    good(folder, "git", &["commit", "--quiet", "--message", message]);
}

fn edit(folder: &Path, path: &str, old: &str, new: &str) {
    let text = fs::read_to_string(folder.join(path)).unwrap();
    assert!(text.contains(old), "{path} has no {old:?}");
    fs::write(folder.join(path), text.replacen(old, new, 1)).unwrap();
}

/// Cargo in a clone, with the dependencies that are built already.
fn cargo(folder: &Path, arguments: &[&str]) -> String {
    cargo_with(folder, arguments, &[])
}

fn cargo_with(folder: &Path, arguments: &[&str], more: &[(&str, &str)]) -> String {
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
fn chart_is_good(folder: &Path) {
    std::os::unix::fs::symlink(repository().join(".tools"), folder.join(".tools")).unwrap();
    good(folder, "scripts/render-k8s", &["--check"]);
    let helm = folder.join(".tools/bin/helm");
    good(folder, helm.to_str().unwrap(), &["lint", "--strict", "helm"]);
}

/// Which files of a clone, git's included, name the template.
fn named(folder: &Path) -> Vec<String> {
    let done = run(folder, "grep", &["-rliI", TEMPLATE, "."], &[]);
    String::from_utf8_lossy(&done.stdout)
        .lines()
        .filter(|name| !name.starts_with("./LICENSE"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn odd_names_make_clones_that_check() {
    let folder = Folder::new("names");
    let template = template(&folder);
    let (long, suffixed) = ("a-".repeat(19) + "zz", format!("{TEMPLATE}-two"));
    let all = ["tokio", "a", "my-order-service", &long, &suffixed];
    let full = env::var_os("FULL").is_some();
    for name in if full { &all[..] } else { &all[..1] } {
        let target = folder.0.join(name);
        let done = clone(&template, &[name, target.to_str().unwrap()]);
        assert!(done.status.success(), "{}", text(&done));
        assert!(text(&done).contains("cargo run\n  make test\n"), "{}", text(&done));
        if !name.contains(TEMPLATE) {
            assert_eq!(named(&target), ["./.template"]);
        }
        good(&target, "diff", &["--recursive", "src/chassis", template.join("src/chassis").to_str().unwrap()]);
        chart_is_good(&target);
        cargo(&target, &["clippy", "--quiet", "--locked", "--offline", "--all-targets", "--", "-D", "warnings"]);
        cargo(&target, &["fmt", "--all", "--check"]);
    }
}

#[test]
fn a_clone_of_a_clone_is_named_after_itself() {
    let folder = Folder::new("twice");
    let template = template(&folder);
    let (first, second) = (folder.0.join("a"), folder.0.join("orders"));
    assert!(clone(&template, &["a", first.to_str().unwrap()]).status.success());
    let done = clone(&first, &["orders", second.to_str().unwrap()]);
    assert!(done.status.success(), "{}", text(&done));
    assert!(named(&second).is_empty(), "{:?}", named(&second));
    chart_is_good(&second);
    let manifest = fs::read_to_string(second.join("Cargo.toml")).unwrap();
    assert!(manifest.contains("name = \"orders\""), "{manifest}");
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let folder = Folder::new("refused");
    let template = template(&folder);
    let there = ["template"];
    let target = folder.0.join("orders");
    let target = target.to_str().unwrap();
    for (name, why) in [("fn", "keyword"), ("Orders", "'O'"), ("std", "compiler"), ("server", "already has something")]
    {
        let error = refused(&template, &[name, target]);
        assert!(error.contains(why), "{error}");
    }
    assert!(refused(&template, &["orders", template.to_str().unwrap()]).contains("exists already"));
    assert!(refused(&template, &["orders", target, "--with", "nothing"]).contains("no such crate; there are: "));
    assert_eq!(folder.names(), there);

    fs::write(template.join("stray"), "").unwrap();
    assert!(refused(&template, &["orders", target]).contains("stray"));
    fs::write(template.join("stray"), format!("of {TEMPLATE}")).unwrap();
    commit(&template, "The name in a place that no edit knows");
    let error = refused(&template, &["orders", target]);
    assert!(error.contains("still named") && error.contains("\n  stray"), "{error}");
    good(&template, "git", &["rm", "--quiet", "stray"]);
    edit(&template, "helm/Chart.yaml", "\nname: ", "\nname:  ");
    commit(&template, "An anchor that is gone");
    let error = refused(&template, &["orders", target]);
    assert!(error.contains("helm/Chart.yaml") && error.contains("0 times"), "{error}");
    assert_eq!(folder.names(), there);
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    let folder = Folder::new("full");
    let template = template(&folder);
    let target = folder.0.join("orders");
    // No file above 8 KiB: what a full disk says, at the first file that is larger.
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$@\"";
    let program = env!("CARGO_BIN_EXE_clone");
    for place in [target.to_str().unwrap(), "--in-place"] {
        let done = run(&template, "bash", &["-c", script, "bash", program, "orders", place], &[]);
        assert!(!done.status.success(), "{}", text(&done));
        assert!(text(&done).contains("File too large"), "{}", text(&done));
        assert_eq!(folder.names(), ["template"]);
        assert_eq!(good(&template, "git", &["status", "--porcelain"]), "");
    }
}

#[test]
fn without_an_identity_all_is_staged_and_the_way_is_told() {
    let folder = Folder::new("nobody");
    let template = template(&folder);
    let target = folder.0.join("orders");
    let nobody = [
        ("GIT_AUTHOR_NAME", ""),
        ("GIT_AUTHOR_EMAIL", ""),
        ("GIT_COMMITTER_NAME", ""),
        ("GIT_COMMITTER_EMAIL", ""),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_SYSTEM", "/dev/null"),
        ("EMAIL", ""),
    ];
    let done = run(&template, env!("CARGO_BIN_EXE_clone"), &["orders", target.to_str().unwrap()], &nobody);
    assert!(done.status.success(), "{}", text(&done));
    assert!(text(&done).contains("git config --global user.name"), "{}", text(&done));
    assert!(good(&target, "git", &["diff", "--cached", "--name-only"]).contains("src/lib.rs"));
}

#[test]
fn in_place_makes_the_same_as_a_new_folder() {
    let folder = Folder::new("place");
    let template = template(&folder);
    let target = folder.0.join("orders");
    let done = clone(&template, &["orders", target.to_str().unwrap(), "--bare", "--no-history", "--source", "x"]);
    assert!(done.status.success(), "{}", text(&done));
    let done = clone(&template, &["orders", "--in-place", "--bare", "--source", "x"]);
    assert!(done.status.success(), "{}", text(&done));
    fs::rename(template.join(".git"), folder.0.join("git")).unwrap();
    good(&folder.0, "diff", &["--recursive", "orders", "template"]);
}

/// A clone that has changed what a team changes, and a newer template.
fn clone_and_newer_template(folder: &Folder) -> (PathBuf, PathBuf) {
    let template = template(folder);
    let target = folder.0.join("orders");
    let done = clone(&template, &["orders", target.to_str().unwrap()]);
    assert!(done.status.success(), "{}", text(&done));
    edit(&target, "src/app/mod.rs", ".route(\"/whoami\"", ".route(\"/mine\", whoami::tell(chassis)).route(\"/whoami\"");
    edit(
        &target,
        "src/app/config.rs",
        "pub struct Settings {",
        "pub struct Settings {\n    /// Mine.\n    pub mine: u8,",
    );
    edit(&target, "helm/values.yaml", "replicaCount: 3", "replicaCount: 5");
    commit(&target, "A route, a setting and a value of our own");
    edit(&template, "src/chassis/runtime.rs", "//! ", "//! Newer. ");
    edit(
        &template,
        "src/app/mod.rs",
        ".route(\"/whoami\"",
        ".route(\"/theirs\", whoami::tell(chassis)).route(\"/whoami\"",
    );
    edit(&template, "helm/templates/_names.tpl", "{{/* ", "{{/* Newer. ");
    commit(&template, "Newer");
    (target, template)
}

#[test]
fn a_newer_chassis_merges_into_a_clone_with_its_own_routes_settings_and_values() {
    let folder = Folder::new("update");
    let (target, template) = clone_and_newer_template(&folder);
    let check = run(&target, "scripts/template-update", &["--check"], &[]);
    assert_eq!(check.status.code(), Some(1), "{}", text(&check));
    assert!(text(&check).contains("1 commits behind"), "{}", text(&check));
    assert!(good(&target, "scripts/template-update", &[]).contains("merged and staged"));
    let changed = good(&target, "git", &["diff", "--cached", "--name-only"]);
    assert_eq!(changed, ".template\nhelm/templates/_names.tpl\nsrc/chassis/runtime.rs\n");
    good(&target, "diff", &["--recursive", "src/chassis", template.join("src/chassis").to_str().unwrap()]);
    commit(&target, "Update");
    assert!(good(&target, "scripts/template-update", &["--check"]).contains("up to date"));
}

#[test]
fn a_conflict_is_shown_and_not_forced() {
    let folder = Folder::new("conflict");
    let (target, template) = clone_and_newer_template(&folder);
    edit(&template, "helm/values.yaml", "replicaCount: 3", "replicaCount: 4");
    commit(&template, "Other replicas");
    let done = run(&target, "scripts/template-update", &[], &[]);
    assert_eq!(done.status.code(), Some(1), "{}", text(&done));
    assert!(text(&done).contains("\n  helm/values.yaml\n"), "{}", text(&done));
    let values = fs::read_to_string(target.join("helm/values.yaml")).unwrap();
    assert!(values.contains("<<<<<<<") && values.contains("replicaCount: 5") && values.contains("replicaCount: 4"));
}

#[test]
fn the_documented_first_route_fits_a_bare_clone() {
    let folder = Folder::new("bare");
    let template = template(&folder);
    let target = folder.0.join("orders");
    let done = clone(&template, &["orders", target.to_str().unwrap(), "--bare"]);
    assert!(done.status.success(), "{}", text(&done));
    let page = fs::read_to_string(repository().join("docs/first-route.md")).unwrap();
    let diff = page.split("```diff\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a diff");
    assert!(diff.lines().count() < 40, "{} lines", diff.lines().count());
    fs::write(folder.0.join("diff"), diff).unwrap();
    good(&target, "git", &["apply", "../diff"]);
    cargo(&target, &["fmt", "--all", "--check"]);
    chart_is_good(&target);
    cargo(&target, &["clippy", "--quiet", "--locked", "--offline", "--all-targets", "--", "-D", "warnings"]);
    cargo(&target, &["build", "--quiet", "--locked", "--offline", "--bin", "server"]);
    let printed = good(&target, "target/debug/server", &["openapi"]);
    assert!(printed.contains("/v1/greetings/{name}"), "{printed}");
    good(&target, "git", &["checkout", "--quiet", "src/app/mod.rs"]);
    // What the command cuts out of generated files is what the code generates.
    let is_update = env::var_os("UPDATE").is_some_and(|value| value == "1");
    let update = if is_update { "1" } else { "0" };
    let arguments = ["test", "--quiet", "--locked", "--offline", "--test", "it", "generated::"];
    cargo_with(&target, &arguments, &[("UPDATE", update)]);
    if is_update {
        let description = "docs/openapi.json";
        fs::copy(target.join(description), repository().join("crates/clone/bare").join(description)).unwrap();
    }
}
