//! `--bare`: src/app without a route. The sample app moves to examples/sample, where the chassis's own tests drive it.
//!
//! Files below crates/clone/bare take the place of the clone's. What is generated from the app's settings is cut down
//! here; the clone's test `generated` holds it to what its code says.
//!
//! Next: [`crate::place`].

use crate::{
    edits::{self, Edit},
    tree::Tree,
};

/// Where the sample app is in a bare clone.
const SAMPLE: &str = "examples/sample/";
/// A page about the sample: its commands and edits fit nothing else.
const PAGE: &str = "docs/first-hour.md";
/// What takes the place of the clone's files.
const OVERLAY: &str = "crates/clone/bare/";

/// Takes the sample app out of `tree`.
///
/// # Errors
/// When there is none, or a file is not as it was thought.
pub(crate) fn strip(tree: &mut Tree) -> Result<(), String> {
    if !tree.below(SAMPLE).is_empty() {
        return Err("--bare: this tree is bare already".into());
    }
    let main = tree.text("src/main.rs")?.replace("service::", "sample::");
    tree.set("examples/sample/main.rs", main);
    let library = tree.text("src/lib.rs")?.to_owned();
    tree.set("examples/sample/sample.rs", library);
    for path in tree.below("src/app/") {
        let entry = tree.0.remove(&path).expect("a path of the tree");
        tree.0.insert(path.replacen("src/", SAMPLE, 1), entry);
    }
    for path in tree.below(OVERLAY) {
        let entry = tree.0[&path].clone();
        tree.0.insert(path[OVERLAY.len()..].to_owned(), entry);
    }
    tree.0.remove(PAGE);
    edits::apply(tree, &edits(tree)?)?;
    cut_settings(tree)
}

fn edits(tree: &Tree) -> Result<Vec<Edit>, String> {
    let makefile = tree.text("Makefile")?;
    // What drives the sample's routes, drives the sample.
    let sample = "\nops load api docs: export SERVER = $(CURDIR)/target/debug/examples/sample\nops load api docs: sample\n\n\
        sample: ## The app that the chassis is tested with.\n\tcargo build --locked --example sample\n";
    Ok(vec![
        Edit::new("Makefile", makefile, format!("{makefile}{sample}")),
        Edit::new(
            "examples/sample/main.rs",
            "\nfn main() -> ExitCode {",
            "\n#[allow(clippy::all, clippy::pedantic, dead_code, unreachable_pub, unused_imports)]\n\
             // It is written as a library's part, and linted as that in the template.\n\
             mod sample;\n\
             #[allow(unused_imports, reason = \"where the sample looks for them\")]\nuse sample::{app, chassis};\n\n\
             fn main() -> ExitCode {",
        ),
        Edit::new(
            "examples/sample/sample.rs",
            "pub mod app;\npub mod chassis;\n",
            "#[path = \"app/mod.rs\"]\npub mod app;\npub use ::chassis;\n",
        ),
        Edit::new(
            "tests/it/harness/server.rs",
            "    Path::new(env!(\"CARGO_BIN_EXE_server\"))\n}",
            "    static SAMPLE: std::sync::LazyLock<PathBuf> = std::sync::LazyLock::new(|| example(\"sample\"));\n    &SAMPLE\n}",
        ),
        Edit::new("tests/it/logs.rs", "service::app=debug", "sample::sample::app=debug"),
    ])
}

/// What the generated files say of the sample's settings.
fn cut_settings(tree: &mut Tree) -> Result<(), String> {
    let reference = tree.text("docs/configuration.md")?;
    let (head, _) = reference
        .split_once("\n| key | default | environment | reloadable | meaning |\n|---|---|---|---|---|\n| `app.")
        .ok_or("docs/configuration.md: no settings of the app at its end")?;
    let head = head.to_owned();
    tree.set("docs/configuration.md", head);
    for path in ["docs/settings.schema.json", "helm/values.schema.json"] {
        let cut = without_properties(tree.text(path)?).ok_or_else(|| format!("{path}: no settings \"app\""))?;
        tree.set(path, cut);
    }
    Ok(())
}

/// The schema `json`, as its generators indent it, with an "app" that has no properties.
fn without_properties(json: &str) -> Option<String> {
    let start = json.find("\"app\": {\n")?;
    let indent = " ".repeat(start - json[..start].rfind('\n')? + 1);
    let open = format!("\n{indent}\"properties\": {{\n");
    let properties = start + json[start..].find(&open)?;
    let close = format!("\n{indent}}},");
    let end = properties + json[properties..].find(&close)? + close.len();
    let description = end + json[end..].strip_prefix('\n')?.find('\n')? + 1;
    let [head, about, tail] = [&json[..properties], &json[end..description], &json[description..]];
    Some(format!("{head}{about},\n{indent}\"default\": {{}}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_loses_the_apps_properties_and_no_others() {
        let schema = "{\n  \"properties\": {\n    \"server\": {\n      \"properties\": {\n        \"a\": {}\n      }\n    },\n    \
            \"app\": {\n      \"type\": \"object\",\n      \"properties\": {\n        \"b\": {\n          \"x\": {\n          }\n        }\n      },\n      \
            \"description\": \"d\"\n    }\n  }\n}\n";
        let expected = "{\n  \"properties\": {\n    \"server\": {\n      \"properties\": {\n        \"a\": {}\n      }\n    },\n    \
            \"app\": {\n      \"type\": \"object\",\n      \"description\": \"d\",\n      \"default\": {}\n    }\n  }\n}\n";
        assert_eq!(without_properties(schema).unwrap(), expected);
        assert_eq!(without_properties("{}"), None);
    }
}
