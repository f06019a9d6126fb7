//! A clone without the sample app, and its first route.

use std::{env, fs};

use super::{
    harness::{Folder, cargo, cargo_with, chart_is_good, clone, good, pages_are_good, repository, template, text},
    server::Server,
};

#[test]
fn the_documented_first_route_fits_a_bare_clone() {
    let folder = Folder::new("bare");
    let template = template(&folder);
    let target = folder.0.join("orders");
    let done = clone(&template, &["orders", target.to_str().unwrap(), "--bare", "--engine", "path"]);
    assert!(done.status.success(), "{}", text(&done));
    let page = fs::read_to_string(repository().join("docs/first-route.md")).unwrap();
    let diff = page.split("```diff\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a diff");
    assert!(diff.lines().count() < 40, "{} lines", diff.lines().count());
    fs::write(folder.0.join("diff"), diff).unwrap();
    good(&target, "git", &["apply", "../diff"]);
    cargo(&target, &["fmt", "--check"]);
    chart_is_good(&target);
    pages_are_good(&target);
    // The app is not under the engine's strictness: no documentation, and what clippy::pedantic refuses.
    let greetings = target.join("src/app/greetings.rs");
    let code =
        fs::read_to_string(&greetings).unwrap() + "\npub fn count(words: Vec<String>) -> usize {\n    words.len()\n}\n";
    fs::write(greetings, code).unwrap();
    cargo(&target, &["clippy", "--quiet", "--locked", "--offline", "--all-targets", "--", "-D", "warnings"]);
    cargo(&target, &["build", "--quiet", "--locked", "--offline", "--bin", "server"]);
    let printed = good(&target, "target/debug/server", &["openapi"]);
    assert!(printed.contains("/v1/greetings/{name}"), "{printed}");
    let [asked, said] = documented(&page);
    let answer = Server::start(&target).get(asked);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with(&format!("\r\n\r\n{said}")), "{answer}");
    good(&target, "git", &["checkout", "--quiet", "src/app/mod.rs"]);
    // What the command cuts out of generated files is what the code generates.
    let is_update = env::var_os("UPDATE").is_some_and(|value| value == "1");
    let update = if is_update { "1" } else { "0" };
    let arguments = ["test", "--quiet", "--locked", "--offline", "--test", "service", "generated::"];
    cargo_with(&target, &arguments, &[("UPDATE", update)]);
    if is_update {
        let description = "docs/openapi.json";
        fs::copy(target.join(description), repository().join("crates/clone/bare").join(description)).unwrap();
    }
}

/// The path that the page asks, and what it says comes back.
fn documented(page: &str) -> [&str; 2] {
    let (_, asked) = page.split_once("$ curl localhost:8080").expect("a request");
    let mut lines = asked.lines();
    [(); 2].map(|()| lines.next().expect("a path and an answer"))
}
