//! A newer template is merged into a clone.

use std::{fs, path::PathBuf};

use super::harness::{Folder, clone, commit, edit, good, run, template, text};

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
