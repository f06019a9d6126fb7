//! A clone is made whole, or not at all.

use std::{env, fs};

use super::harness::{
    Folder, TEMPLATE, cargo, chart_is_good, clone, commit, edit, good, named, pages_are_good, refused, run, template,
    text,
};

#[test]
fn odd_names_make_clones_that_check() {
    let folder = Folder::new("names");
    let template = template(&folder);
    let (long, suffixed) = ("a-".repeat(19) + "zz", format!("{TEMPLATE}-two"));
    let all = ["tokio", "a", "my-order-service", &long, &suffixed];
    let full = env::var_os("FULL").is_some();
    for name in if full { &all[..] } else { &all[..1] } {
        let target = folder.0.join(name);
        let done = clone(&template, &[name, target.to_str().unwrap(), "--engine", "path"]);
        assert!(done.status.success(), "{}", text(&done));
        assert!(text(&done).contains("cargo run\n  make test\n"), "{}", text(&done));
        if !name.contains(TEMPLATE) {
            assert_eq!(named(&target), ["./.template"]);
        }
        chart_is_good(&target);
        pages_are_good(&target);
        cargo(&target, &["clippy", "--quiet", "--locked", "--offline", "--all-targets", "--", "-D", "warnings"]);
        cargo(&target, &["fmt", "--check"]);
    }
}

#[test]
fn a_clone_is_no_template() {
    let folder = Folder::new("twice");
    let template = template(&folder);
    let (first, second) = (folder.0.join("a"), folder.0.join("orders"));
    assert!(clone(&template, &["a", first.to_str().unwrap()]).status.success());
    let error = refused(&first, &["orders", second.to_str().unwrap()]);
    assert!(error.contains("is not the template"), "{error}");
    assert!(!second.exists());
}

#[test]
fn in_a_monorepo_a_clone_has_no_history_of_its_own() {
    let folder = Folder::new("monorepo");
    let template = template(&folder);
    fs::remove_dir_all(template.join(".git")).unwrap();
    good(&folder.0, "git", &["init", "--quiet"]);
    commit(&folder.0, "An engine, and services to come");
    let target = folder.0.join("services/orders");
    fs::create_dir(folder.0.join("services")).unwrap();
    let done = clone(&template, &["orders", target.to_str().unwrap(), "--engine", "path"]);
    assert!(done.status.success(), "{}", text(&done));
    assert!(text(&done).contains("inside"), "{}", text(&done));
    assert!(!target.join(".git").exists());
    let manifest = fs::read_to_string(target.join("Cargo.toml")).unwrap();
    assert!(manifest.contains("chassis = { path = \"../../template/crates/chassis\" }"), "{manifest}");
    cargo(&target, &["metadata", "--quiet", "--locked", "--offline", "--format-version", "1"]);
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
    assert!(refused(&template, &["orders", target, "--engine", "copy"]).contains("there are git, path and vendor"));
    assert!(refused(&template, &["orders", "--in-place", "--engine", "path"]).contains("take git or vendor"));
    assert!(refused(&template, &["orders", "--in-place", "--engine", "git"]).contains("as --source"));
    assert!(refused(&template, &["orders", target, "--source", "a\"b"]).contains("cannot hold"));
    let in_a_file = template.join("README.md/orders");
    assert!(refused(&template, &["orders", in_a_file.to_str().unwrap()]).contains("is no folder"));
    // Not a text at all: a byte that UTF-8 does not have.
    let script = "exec \"$0\" $'orders\\xff' \"$1\"";
    let done = run(&template, "bash", &["-c", script, env!("CARGO_BIN_EXE_clone"), target], &[]);
    assert!(!done.status.success() && text(&done).contains("is not in UTF-8"), "{}", text(&done));
    let nowhere = folder.0.join("nowhere");
    let environment = [("TMPDIR", nowhere.to_str().unwrap())];
    let done = run(&template, env!("CARGO_BIN_EXE_clone"), &["orders", target], &environment);
    assert!(!done.status.success() && text(&done).contains("nowhere"), "{}", text(&done));
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

#[test]
fn in_place_a_second_time_is_refused() {
    let folder = Folder::new("again");
    let template = template(&folder);
    assert!(clone(&template, &["orders", "--in-place"]).status.success());
    assert!(refused(&template, &["orders", "--in-place"]).contains("is not the template"));
}

#[test]
fn the_next_command_holds_in_a_folder_with_an_odd_name() {
    let folder = Folder::new("odd");
    let template = template(&folder);
    let target = folder.0.join("Ada's own orders");
    let done = clone(&template, &["orders", target.to_str().unwrap()]);
    assert!(done.status.success(), "{}", text(&done));
    let said = text(&done);
    let enter = said.lines().find(|line| line.starts_with("  cd ")).expect("a command");
    let files = good(&template, "bash", &["-c", &format!("{enter} && git ls-files")]);
    assert!(files.lines().any(|file| file == ".template"), "{enter}: {files}");
}
