//! The public items of a library, as lines: rustdoc describes it in JSON, `public-api` reads that.
//!
//! rustdoc's JSON is unstable; the stable toolchain writes it where `RUSTC_BOOTSTRAP` is set. Only rustdoc sees that
//! variable: build scripts ask for it as well, and would build the dependencies anew.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use public_api::{Builder, PublicApi};

use crate::root;

const JSON: [&str; 4] = ["-Z", "unstable-options", "--output-format", "json"];

/// The face of the package `chassis`, with all its features.
pub(crate) fn face_of_chassis() -> BTreeSet<String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in the target folder");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["rustdoc", "--quiet", "--locked", "--package", "chassis", "--lib", "--all-features", "--"])
        .args(JSON)
        .current_dir(root())
        .env("CARGO_TARGET_DIR", target)
        .env("RUSTDOC", wrapper());
    // As engine.mk has it: pyo3 asks the interpreter of this name what to link with.
    if env::var_os("PYO3_PYTHON").is_none() {
        cargo.env("PYO3_PYTHON", "/usr/bin/python3");
    }
    run(&mut cargo);
    read(&target.join("doc/chassis.json"))
}

/// The face of a library `name` that is only `source`.
pub(crate) fn face_of_source(name: &str, source: &str) -> BTreeSet<String> {
    let folder = scratch();
    let file = folder.join(format!("{name}.rs"));
    fs::write(&file, source).expect("writing a source file");
    run(Command::new(wrapper()).arg(&file).args(["--edition", "2024", "--out-dir"]).arg(&folder).args(JSON));
    read(&folder.join(format!("{name}.json")))
}

/// Of what is derived only the `impl` counts: its methods say no more.
fn read(json: &Path) -> BTreeSet<String> {
    let written = lines(Builder::from_rustdoc_json(json).omit_auto_derived_impls(true));
    let all = lines(Builder::from_rustdoc_json(json));
    all.into_iter().filter(|line| line.starts_with("impl") || written.contains(line)).collect()
}

fn lines(builder: Builder) -> BTreeSet<String> {
    let api: PublicApi = builder.omit_blanket_impls(true).omit_auto_trait_impls(true).build().expect(
        "rustdoc's JSON: after a change of the toolchain, take the version of public-api that reads its format",
    );
    api.items().map(ToString::to_string).collect()
}

/// A `rustdoc` that alone sees `RUSTC_BOOTSTRAP`. A file of the tree: one that a test has just written may be open in a
/// process that another test forks, and cannot be started then.
fn wrapper() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rustdoc")
}

/// A folder for this test alone, which takes its name from the thread that runs it.
fn scratch() -> PathBuf {
    let thread = std::thread::current();
    let name = thread.name().expect("a test has a name").rsplit("::").next().expect("a last part");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("package").join(name);
    fs::create_dir_all(&folder).expect("creating a folder");
    folder
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&output.stderr));
}
