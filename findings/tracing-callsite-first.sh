#!/usr/bin/env bash
# A thread's own tracing subscriber misses every event that a thread without one has come by first.
#
# Guess: `tracing::subscriber::with_default` gives a thread its own subscriber, and the documentation of tracing-core (module
# `callsite`) says that a new callsite is registered with every active subscriber. So the thread's events reach it, whatever
# other threads do.
# Seen: while the process has had one subscriber only, tracing 0.1.44 (tracing-core 0.1.36) registers a callsite, at its first
# event, with the subscriber of the thread that happens to be there. For a thread without any that is none, the interest
# "never" is kept, and the event stays off for the thread with the subscriber until another subscriber is made. Tests that capture logs pass or fail by the order of
# their threads. With a second subscriber anywhere in the process, even one that wants nothing, all events arrive.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat >"$folder/Cargo.toml" <<'TOML'
[package]
name = "seen"
version = "0.0.0"
edition = "2024"

[dependencies]
tracing = { version = "=0.1.44", default-features = false, features = ["std"] }
tracing-core = { version = "=0.1.36", default-features = false, features = ["std"] }
tracing-subscriber = { version = "=0.3.23", default-features = false, features = ["fmt", "registry", "std"] }

[workspace]
TOML
cat >"$folder/src/main.rs" <<'RUST'
//! How many of a thread's two events reach its subscriber. Arguments: `first`, where the main thread, which has no
//! subscriber, says the same before; `second`, where there is another subscriber in the process.
use std::{env, io, sync::{Arc, Mutex, mpsc::channel}, thread};

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn say() {
    tracing::info!("said");
}

fn main() {
    let has = |word| env::args().any(|argument| argument == word);
    let _second = has("second").then(|| tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new()));
    let output = Output::default();
    let writer = output.clone();
    let (ready, is_ready) = channel();
    let (go, goes) = channel();
    let thread = thread::spawn(move || {
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            ready.send(()).unwrap();
            goes.recv().unwrap();
            say();
            say();
        });
    });
    is_ready.recv().unwrap();
    if has("first") {
        say();
    }
    go.send(()).unwrap();
    thread.join().unwrap();
    println!("{}", String::from_utf8_lossy(&output.0.lock().unwrap()).lines().count());
}
RUST
cargo build --quiet --manifest-path "$folder/Cargo.toml" --target-dir "$folder/target"

changed=0
expect() {
  local expected=$1 seen
  shift
  seen=$("$folder/target/debug/seen" "$@")
  echo "arguments '$*': $seen of 2 events reached the thread's subscriber"
  [ "$seen" = "$expected" ] || changed=1
}
expect 2
expect 0 first
expect 2 first second
[ "$changed" = 0 ] || { echo "it has changed" >&2; exit 1; }
