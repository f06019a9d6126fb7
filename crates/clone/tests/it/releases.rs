//! Releases of the engine reach a clone that has become a team's own, without conflicts.

use std::fs;

use super::{
    engine::release,
    forge::Forge,
    harness::{Folder, cargo, clone, commit, edit, good, repository, template, text},
    server::Server,
};

const RELEASES: [&str; 5] = ["9.0.1", "9.0.2", "9.1.0", "9.1.1", "9.2.0"];

#[test]
fn five_releases_reach_a_clone_with_its_own_routes_and_settings_without_a_conflict() {
    let folder = Folder::new("releases");
    let template = template(&folder);
    let forge = Forge::of(&folder, &template, "releases");
    let target = folder.0.join("orders");
    let done = clone(&template, &["orders", target.to_str().unwrap(), "--bare"]);
    assert!(done.status.success(), "{}", text(&done));
    let page = fs::read_to_string(repository().join("docs/first-route.md")).unwrap();
    let diff = page.split("```diff\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a diff");
    fs::write(folder.0.join("diff"), diff).unwrap();
    good(&target, "git", &["apply", "../diff"]);
    edit(
        &target,
        "src/app/config.rs",
        "pub struct Settings {}",
        "pub struct Settings {\n    /// Whom to greet.\n    pub greeted: String,\n}",
    );
    edit(&target, "helm/values.yaml", "replicaCount: 3", "replicaCount: 5");
    edit(&target, "Cargo.toml", "[dependencies]\n", "[dependencies]\nbytes = \"1.12\"\n");
    cargo(&target, &["update", "--quiet", "--workspace"]);
    commit(&target, "A route, a setting, a value and a dependency of our own");

    for version in RELEASES {
        release(&template, version);
        // What comes with it: the chart, a workflow, the image, the manifest.
        edit(&template, "helm/templates/_names.tpl", "{{/* ", &format!("{{{{/* Release {version}. "));
        edit(&template, ".github/workflows/ci.yaml", "# ", &format!("# Release {version}. "));
        edit(&template, "Dockerfile", "# ", &format!("# Release {version}. "));
        edit(&template, "Cargo.toml", "# Each brings a door", &format!("# Release {version}.\n# Each brings a door"));
        edit(&template, "src/app/mod.rs", "//! ", &format!("//! Release {version}. "));
        commit(&template, &format!("What comes with {version}"));
        forge.push(&template);
        let said = good(&target, "make", &["--silent", "engine-update"]);
        assert!(said.contains(&format!("version {version}")), "{said}");
        commit(&target, &format!("The engine {version}"));
        let said = good(&target, "make", &["--silent", "template-update"]);
        assert!(said.contains("merged and staged"), "{said}");
        let changed = good(&target, "git", &["status", "--porcelain"]);
        assert!(!changed.contains(" src/") && !changed.contains("UU"), "{changed}");
        commit(&target, &format!("Update to {version}"));
    }
    cargo(&target, &["build", "--quiet", "--locked", "--bin", "server"]);
    let server = Server::start(&target);
    assert_eq!(server.engine(), RELEASES[4]);
    assert!(server.get("/v1/greetings/Ada").ends_with("\"Hello, Ada\""));
    let chart = fs::read_to_string(target.join("helm/templates/_names.tpl")).unwrap();
    assert!(RELEASES.iter().all(|version| chart.contains(version)), "{chart}");
}
