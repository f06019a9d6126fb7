//! What the compiler says of a handler with a type that does not describe itself: it names the type, and the way out.
//!
//! It compiles against the engine that this program is linked with.

use std::{env, fs, path::PathBuf, process::Command};

use crate::harness::Scratch;

const HANDLERS: &str = "
use chassis::{openapi::get, router::Router};
pub struct Key;
pub struct Made;
pub struct Failure;
async fn takes(_: Key) {}
async fn gives() -> Made { Made }
async fn fails() -> Result<(), Failure> { Ok(()) }
pub fn routes() -> Router {
    Router::new().route(\"/takes\", get(takes)).route(\"/gives\", get(gives)).route(\"/fails\", get(fails))
}
";

/// The newest of those that cargo has built, and the folder with all of them.
fn engine() -> (PathBuf, PathBuf) {
    let program = env::current_exe().expect("a path");
    let folder = program.parent().expect("a folder").to_owned();
    let built = fs::read_dir(&folder).expect("reading").map(|entry| entry.expect("an entry").path());
    let engines = built.filter(|path| {
        let name = path.file_name().expect("a name").to_string_lossy();
        name.starts_with("libchassis-") && name.ends_with(".rlib")
    });
    let newest = engines.max_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).expect("a time"));
    (newest.expect("a library"), folder)
}

#[test]
fn a_type_that_does_not_describe_itself_is_named() {
    let (engine, folder) = engine();
    let work = Scratch::new("explained");
    let source = work.path().join("handlers.rs");
    fs::write(&source, HANDLERS).expect("writing");
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "--out-dir"]).arg(work.path());
    rustc.arg("--extern").arg(format!("chassis={}", engine.display()));
    rustc.arg("-L").arg(format!("dependency={}", folder.display())).arg(&source);
    let compiled = rustc.output().expect("running rustc");
    let said = String::from_utf8_lossy(&compiled.stderr);
    assert!(!compiled.status.success(), "it compiled");
    for expected in [
        "`Key` is a handler's parameter, and does not describe what a client must send",
        "with `impl chassis::openapi::Input for Key {}`",
        "`Made` is a handler's result, and does not describe its response",
        "with `impl chassis::openapi::Output for Made {}`",
        "`Failure` is a handler's result, and does not describe its response",
        "write `get(opaque(handler))`",
    ] {
        assert!(said.contains(expected), "not said: {expected}\n{said}");
    }
}
