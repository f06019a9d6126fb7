//! A newer template is merged into a clone.

use std::{fs, path::PathBuf};

use super::harness::{Folder, clone, commit, edit, good, run, template, text};

/// What git's output is kept in before it makes `git log` wait is 64 KiB, and a line has 82 bytes.
const LONG: usize = 1_000;

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
    edit(&template, "Dockerfile", "# ", "# Newer. ");
    edit(
        &template,
        "src/app/mod.rs",
        ".route(\"/whoami\"",
        ".route(\"/theirs\", whoami::tell(chassis)).route(\"/whoami\"",
    );
    edit(&template, "helm/templates/_names.tpl", "{{/* ", "{{/* Newer. ");
    edit(&template, "CHANGELOG.md", "### Added\n\n", "### Added\n\n- What a team has to know.\n");
    commit(&template, "Newer");
    (target, template)
}

#[test]
fn a_newer_template_merges_into_a_clone_with_its_own_routes_settings_and_values() {
    let folder = Folder::new("update");
    let (target, _) = clone_and_newer_template(&folder);
    let check = run(&target, "scripts/template-update", &["--check"], &[]);
    assert_eq!(check.status.code(), Some(1), "{}", text(&check));
    assert!(text(&check).contains("1 commits behind"), "{}", text(&check));
    assert!(text(&check).contains("\n  - What a team has to know.\n"), "{}", text(&check));
    assert!(good(&target, "scripts/template-update", &[]).contains("merged and staged"));
    let changed = good(&target, "git", &["diff", "--cached", "--name-only"]);
    assert_eq!(changed, ".template\nDockerfile\nhelm/templates/_names.tpl\n");
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
fn a_file_that_the_clone_calls_otherwise_gets_the_change_and_one_that_it_dropped_is_shown() {
    let folder = Folder::new("moved");
    let (target, template) = clone_and_newer_template(&folder);
    good(&target, "git", &["mv", "Dockerfile", "Containerfile"]);
    good(&target, "git", &["rm", "--quiet", "docs/slo.md"]);
    commit(&target, "Moved and dropped");
    edit(&template, "docs/slo.md", "# ", "# Newer: ");
    commit(&template, "What the clone has dropped");
    let done = run(&target, "scripts/template-update", &[], &[]);
    assert_eq!(done.status.code(), Some(1), "{}", text(&done));
    assert!(text(&done).contains("left to you:\n  docs/slo.md\nResolve"), "{}", text(&done));
    let moved = fs::read_to_string(target.join("Containerfile")).unwrap();
    assert!(moved.starts_with("# Newer. ") && !target.join("Dockerfile").exists(), "{moved}");
}

#[test]
fn a_newer_clone_command_that_does_not_build_changes_nothing() {
    let folder = Folder::new("broken");
    let (target, template) = clone_and_newer_template(&folder);
    edit(&template, "crates/clone/src/main.rs", "fn main()", "fn no_main()");
    commit(&template, "Broken");
    let done = run(&target, "scripts/template-update", &[], &[]);
    assert!(!done.status.success() && text(&done).contains("`main` function not found"), "{}", text(&done));
    assert_eq!(good(&target, "git", &["status", "--porcelain"]), "");
    assert_eq!(good(&target, "git", &["worktree", "list"]).lines().count(), 1);
}

#[test]
fn a_copy_with_a_history_of_its_own_is_found_by_its_files() {
    let folder = Folder::new("copy");
    let template = template(&folder);
    let old = "commit refs/heads/old\ncommitter Test <test@example.com> 0 +0000\ndata 0\n\n".repeat(LONG);
    fs::write(folder.0.join("old"), old).unwrap();
    good(&template, "bash", &["-c", "git fast-import --quiet <../old"]);
    let onto = "git reset --quiet --hard $(git commit-tree -p old -m 'After many' 'HEAD^{tree}')";
    good(&template, "bash", &["-c", onto]);

    let copy = folder.0.join("copy");
    good(&folder.0, "git", &["clone", "--quiet", "template", "copy"]);
    fs::remove_dir_all(copy.join(".git")).unwrap();
    good(&copy, "git", &["init", "--quiet", "--initial-branch=main"]);
    commit(&copy, "Initial commit");
    // As a person types it, who is in the copy.
    let done = clone(&copy, &["orders", "--in-place", "--source", "../template"]);
    assert!(done.status.success(), "{}", text(&done));
    commit(&copy, "Begin orders");
    assert!(good(&copy, "scripts/template-update", &["--check"]).contains("up to date"));

    edit(&template, "Dockerfile", "# ", "# Newer. ");
    commit(&template, "Newer");
    let check = run(&copy, "scripts/template-update", &["--check"], &[]);
    assert_eq!(check.status.code(), Some(1), "{}", text(&check));
    assert!(text(&check).contains("1 commits behind"), "{}", text(&check));
    // Continuous integration has one commit only.
    let shallow = format!("file://{}", copy.display());
    good(&folder.0, "git", &["clone", "--quiet", "--depth", "1", &shallow, "shallow"]);
    assert!(good(&folder.0.join("shallow"), "scripts/template-update", &[]).contains("merged and staged"));
}

#[test]
fn a_template_whose_history_ends_too_early_is_refused() {
    let folder = Folder::new("shallow");
    let (target, template) = clone_and_newer_template(&folder);
    // A head from a better day, which is not taken for the present one.
    run(&target, "scripts/template-update", &["--check"], &[]);
    edit(&template, "Dockerfile", "# ", "# Newest. ");
    commit(&template, "Newest");
    let source = format!("file://{}", template.display());
    good(&folder.0, "git", &["clone", "--quiet", "--depth", "1", &source, "shallow"]);
    let shallow = folder.0.join("shallow");
    let done = run(&target, "scripts/template-update", &["--check"], &[("TEMPLATE_SOURCE", shallow.to_str().unwrap())]);
    assert_eq!(done.status.code(), Some(2), "{}", text(&done));
    assert!(text(&done).contains("git fetch --unshallow"), "{}", text(&done));
}
