//! A clone of the form before, with the engine in src/chassis, becomes one that depends on it.

use std::fs;

use super::{
    harness::{Folder, cargo, clone, commit, copy_tree, edit, good, refused, repository, run, text},
    server::Server,
};

/// The last commit of the template whose clones have a copy of the engine.
const BEFORE: &str = "26139b6";

#[test]
#[ignore = "needs the template's own history, which a copy of it has not: `make test-full` runs it"]
fn a_clone_with_a_copied_engine_depends_on_it_after_an_upgrade() {
    let folder = Folder::new("upgrade");
    let template = folder.0.join("template");
    let old = run(&repository(), "git", &["rev-parse", "--verify", "--quiet", &format!("{BEFORE}^{{commit}}")], &[]);
    assert!(
        old.status.success(),
        "the history does not reach back to {BEFORE}; in a shallow clone: git fetch --unshallow"
    );
    let old = text(&old).trim_end().to_owned();
    good(&folder.0, "git", &["clone", "--quiet", "--no-checkout", repository().to_str().unwrap(), "template"]);
    good(&template, "git", &["remote", "remove", "origin"]);

    // A clone of that time, by its own command, that has become a team's own.
    good(&template, "git", &["checkout", "--quiet", &old]);
    let command = folder.0.join("clone");
    let words =
        ["--edition", "2024", "--crate-name", "clone", "-o", command.to_str().unwrap(), "crates/clone/src/main.rs"];
    good(&template, "rustc", &words);
    let target = folder.0.join("orders");
    good(&template, command.to_str().unwrap(), &["orders", target.to_str().unwrap(), "--bare"]);
    let page = fs::read_to_string(template.join("docs/first-route.md")).unwrap();
    let diff = page.split("```diff\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a diff");
    fs::write(folder.0.join("diff"), diff).unwrap();
    good(&target, "git", &["apply", "../diff"]);
    edit(&target, "helm/values.yaml", "replicaCount: 3", "replicaCount: 5");
    edit(&target, "Cargo.toml", "\nbytes = ", "\nbase64 = \"0.22\"\nbytes = ");
    edit(&target, "README.md", "# orders\n", "# orders\n\nOurs.\n");
    edit(&target, "src/chassis/runtime.rs", "//! ", "//! Patched. ");
    commit(&target, "A route, a value, a dependency, a page and a patch of our own");

    // The template of today.
    good(&template, "git", &["rm", "--quiet", "-r", "."]);
    copy_tree(&template);
    commit(&template, "Today");
    let said = text(&clone(&template, &["upgrade", target.to_str().unwrap()]));
    assert!(said.contains("orders depends on the engine by vendor; all is staged."), "{said}");
    assert!(said.contains("offer it to the template") && said.contains("\n  src/chassis/runtime.rs\n"), "{said}");
    assert!(!said.contains("Conflicts"), "{said}");
    assert!(
        !target.join("src/chassis").exists() && !target.join("examples").exists() && !target.join("crates").exists()
    );
    let changes = good(&target, "git", &["diff", "--cached", "--unified=0", "--", "src/app"]);
    for line in changes
        .lines()
        .filter(|line| line.starts_with(['+', '-']) && !line.starts_with("+++") && !line.starts_with("---"))
    {
        assert!(line.contains("chassis::"), "{line}");
    }
    let read = |path: &str| fs::read_to_string(target.join(path)).unwrap();
    assert!(read("helm/values.yaml").contains("replicaCount: 5"));
    assert!(read("README.md").contains("\nOurs.\n"));
    let manifest = read("Cargo.toml");
    assert!(
        manifest.contains("\nbase64 = \"0.22\"\n") && !manifest.contains("hyper") || manifest.contains("hyper-timeout"),
        "{manifest}"
    );
    cargo(&target, &["fmt"]);
    commit(&target, "Depend on the engine");
    cargo(&target, &["build", "--quiet", "--locked", "--bin", "server"]);
    assert!(Server::start(&target).get("/v1/greetings/Ada").ends_with("\"Hello, Ada\""));
    // From here on, it is as any other.
    assert!(good(&target, "make", &["--silent", "engine-update"]).contains("up to date"));
    assert!(refused(&template, &["upgrade", target.to_str().unwrap()]).contains("has no src/chassis/"));
}
