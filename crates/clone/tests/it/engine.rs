//! The three ways to depend on the engine: by git, by path, and on a copy in vendor/.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    forge::Forge,
    harness::{Folder, cargo, clone, commit, edit, good, origin, refused, run, template, text},
    server::Server,
};

#[test]
fn a_vendored_engine_builds_an_image_and_a_fix_reaches_it() {
    let folder = Folder::new("vendor");
    let template = template(&folder);
    let target = made(&template, &["--engine", "vendor"]);
    let left = good(&target, "git", &["ls-files", "vendor"]);
    for part in ["chassis/tests", "chassis/fuzz", "chassis/engine.mk"] {
        assert!(!left.contains(part), "{part}");
    }
    // What stands there is not the service's to format.
    let source = target.join("vendor/chassis/src/lib.rs");
    let untidy = fs::read_to_string(&source).unwrap() + "fn  untidy( ){}\n";
    fs::write(&source, &untidy).unwrap();
    cargo(&target, &["fmt", "--all"]);
    assert_eq!(fs::read_to_string(&source).unwrap(), untidy);
    commit(&target, "An edit by hand");
    release(&template, "9.9.1");
    let done = run(&target, "make", &["--silent", "engine-update"], &[]);
    let said = text(&done);
    assert!(!done.status.success(), "{said}");
    assert!(said.contains("vendor/chassis/src/lib.rs differ") && said.contains("edited by hand"), "{said}");
    good(&target, "git", &["reset", "--quiet", "--hard", "HEAD~1"]);

    packages_can_be_added(&target);
    served_from_an_image(&folder, &target, &template);
    let done = good(&target, "make", &["--silent", "engine-update"]);
    assert!(done.contains("vendor/ has the engine of"), "{done}");
    serves(&target, "9.9.1");
    commit(&target, "A newer engine");
    assert!(good(&target, "make", &["--silent", "engine-update"]).contains("up to date"));
}

#[test]
fn an_engine_by_path_builds_an_image_and_a_fix_reaches_it() {
    let folder = Folder::new("path");
    let template = template(&folder);
    let target = made(&template, &["--engine", "path"]);
    packages_can_be_added(&target);
    served_from_an_image(&folder, &target, &template);
    release(&template, "9.9.1");
    good(&target, "make", &["--silent", "engine-update"]);
    serves(&target, "9.9.1");
}

#[test]
fn an_engine_by_git_builds_an_image_and_a_fix_reaches_it() {
    let folder = Folder::new("git");
    let template = template(&folder);
    let forge = Forge::of(&folder, &template, "git");
    let url = &forge.url;
    let target = made(&template, &[]);
    let manifest = fs::read_to_string(target.join("Cargo.toml")).unwrap();
    assert!(manifest.contains(&format!("chassis = {{ git = \"{url}\", branch = \"main\" }}")), "{manifest}");
    served_from_an_image(&folder, &target, &template);
    // Now that cargo has the engine.
    packages_can_be_added(&target);
    // What an audit or a bill of materials reads.
    let metadata = cargo(&target, &["metadata", "--locked", "--format-version", "1"]);
    let (_, package) =
        metadata.split_once("\"name\":\"chassis\",\"version\":\"").expect("the engine among the packages");
    let head = good(&template, "git", &["rev-parse", "HEAD"]);
    let (package, _) = package.split_once("\"dependencies\"").expect("what a package begins with");
    assert!(package.contains(&format!("\"source\":\"git+{url}?branch=main#{}\"", head.trim())), "{package}");

    release(&template, "9.9.1");
    forge.push(&template);
    good(&target, "cargo", &["update", "--quiet", "--package", "chassis"]);
    serves(&target, "9.9.1");
}

#[test]
fn the_default_is_git_where_the_remote_is_https_or_ssh_and_a_copy_elsewhere() {
    let folder = Folder::new("defaults");
    let template = template(&folder);
    origin(&template);
    let keys = |name: &str| {
        let manifest = fs::read_to_string(folder.0.join(name).join("Cargo.toml")).unwrap();
        manifest.lines().find(|line| line.starts_with("chassis = ")).unwrap().to_owned()
    };
    let made = |name: &str| {
        let done = clone(&template, &[name, folder.0.join(name).to_str().unwrap(), "--no-history"]);
        assert!(done.status.success(), "{}", text(&done));
        text(&done)
    };
    // A folder: others may not have it.
    assert!(made("one").starts_with("The engine is copied to vendor/"));
    assert_eq!(keys("one"), "chassis = { path = \"vendor/chassis\" }");
    for (name, remote, url) in [
        ("two", "https://me:secret@forge.example/team/engine.git", "https://forge.example/team/engine.git"),
        ("three", "git@forge.example:team/engine.git", "ssh://git@forge.example/team/engine.git"),
    ] {
        good(&template, "git", &["remote", "set-url", "origin", remote]);
        assert!(!made(name).contains("vendor"));
        assert_eq!(keys(name), format!("chassis = {{ git = \"{url}\", branch = \"main\" }}"));
        let lock = fs::read_to_string(folder.0.join(name).join("Cargo.lock")).unwrap();
        let head = good(&template, "git", &["rev-parse", "HEAD"]);
        assert!(lock.contains(&format!("source = \"git+{url}?branch=main#{}\"", head.trim())));
        assert_eq!(run(&folder.0, "grep", &["-r", "secret@", name], &[]).stdout, b"");
    }
}

#[test]
fn a_commit_that_was_not_pushed_is_refused_by_git() {
    let folder = Folder::new("unpushed");
    let template = template(&folder);
    origin(&template);
    release(&template, "9.9.1");
    let target = folder.0.join("orders");
    let error = refused(&template, &["orders", target.to_str().unwrap(), "--engine", "git"]);
    assert!(error.contains("push it first"), "{error}");
    assert!(!target.exists());
}

#[test]
fn a_copy_after_use_this_template_depends_on_the_templates_commit() {
    let folder = Folder::new("used");
    let template = template(&folder);
    let bare = origin(&template);
    let head = good(&template, "git", &["rev-parse", "HEAD"]);
    // Another history with the same files.
    fs::remove_dir_all(template.join(".git")).unwrap();
    good(&template, "git", &["init", "--quiet", "--initial-branch=main"]);
    good(&template, "git", &["add", "--all", "--force"]);
    good(&template, "git", &["commit", "--quiet", "--message", "Initial commit"]);
    let source = format!("file://{}", bare.display());
    let done = clone(&template, &["orders", "--in-place", "--engine", "git", "--source", &source]);
    assert!(done.status.success(), "{}", text(&done));
    let lock = fs::read_to_string(template.join("Cargo.lock")).unwrap();
    assert!(lock.contains(&format!("source = \"git+{source}?branch=main#{}\"", head.trim())));
    let stamp = fs::read_to_string(template.join(".template")).unwrap();
    assert!(stamp.contains(head.trim()), "{stamp}");
}

fn made(template: &Path, more: &[&str]) -> PathBuf {
    let target = template.with_file_name("orders");
    let mut words = vec!["orders", target.to_str().unwrap(), "--bare"];
    words.extend(more);
    let done = clone(template, &words);
    assert!(done.status.success(), "{}", text(&done));
    target
}

/// A release of the engine: another version, and a change of its code.
pub(crate) fn release(template: &Path, version: &str) {
    let manifest = template.join("crates/chassis/Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let line = text.lines().find(|line| line.starts_with("version = ")).expect("a version").to_owned();
    fs::write(&manifest, text.replacen(&line, &format!("version = \"{version}\""), 1)).unwrap();
    edit(
        template,
        "Cargo.lock",
        &format!("name = \"chassis\"\n{line}"),
        &format!("name = \"chassis\"\nversion = \"{version}\""),
    );
    edit(template, "crates/chassis/src/lib.rs", "//! ", &format!("//! Release {version}. "));
    commit(template, version);
}

/// `cargo add` needs no `--package`, as there is one.
fn packages_can_be_added(target: &Path) {
    cargo(target, &["add", "--quiet", "--offline", "bytes"]);
    let manifest = fs::read_to_string(target.join("Cargo.toml")).unwrap();
    assert!(manifest.contains("\nbytes = \"1"), "{manifest}");
    good(target, "git", &["checkout", "--quiet", "."]);
}

fn serves(target: &Path, version: &str) {
    cargo(target, &["build", "--quiet", "--locked", "--bin", "server"]);
    assert_eq!(Server::start(target).engine(), version);
}

/// Builds from what the Dockerfile copies, in the places that it copies to, and without a network once all is fetched.
fn served_from_an_image(folder: &Folder, target: &Path, template: &Path) {
    let image = folder.0.join("image");
    let build = image.join("build");
    fs::create_dir_all(&build).unwrap();
    let dockerfile = fs::read_to_string(target.join("Dockerfile")).unwrap();
    let sent = fs::read_to_string(target.join(".dockerignore")).unwrap();
    for line in dockerfile.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        let words: Vec<&str> = line.split(' ').collect();
        let (to, from) = words.split_last().unwrap();
        if from[0] == "--from=engine" {
            // The context that `make image` names.
            let makefile = fs::read_to_string(target.join("Makefile")).unwrap();
            let (_, context) = makefile.split_once("--build-context engine=").expect("a context");
            let context = target.join(context.split(' ').next().unwrap()).canonicalize().unwrap();
            assert_eq!(context, template.join("crates"));
            copied(&context, &image.join(to.trim_start_matches('/')));
        } else if !from[0].starts_with("--") {
            for name in from {
                assert!(sent.lines().any(|line| line.strip_prefix('!') == Some(name)), "{name} is not sent:\n{sent}");
                let to = if *to == "./" { build.join(name) } else { build.join(to) };
                copied(&target.join(name), &to);
            }
        }
    }
    cargo(&build, &["fetch", "--quiet", "--locked"]);
    cargo(&build, &["build", "--quiet", "--locked", "--offline", "--bin", "server"]);
    let server = Server::start(&build);
    assert!(server.get("/healthz").starts_with("HTTP/1.1 200 OK\r\n"));
    assert_ne!(server.engine(), "9.9.1");
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    good(Path::new("/"), "cp", &["-RT", from.to_str().unwrap(), to.to_str().unwrap()]);
}
