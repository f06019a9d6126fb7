//! `--bare`: src/app without a route.
//!
//! Files below crates/clone/bare take the place of the sample's. What is generated from the app's settings is cut down
//! here; the clone's test `generated` holds it to what its code says.
//!
//! Next: [`crate::pages`].

use crate::{manifest, parts, tree::Tree};

/// Pages about the sample: their commands and edits fit nothing else.
const PAGES: [&str; 1] = ["docs/first-hour.md"];
/// The sample, its tests, and what they ask; without the last two, checks ask what the API's description says.
const SAMPLE: [&str; 4] = ["src/app/", "tests/service/app/", "load-tests/requests.js", "tests/api/hooks.py"];
/// What takes the place of the sample's files.
const OVERLAY: &str = "crates/clone/bare/";
/// Dependencies that only the sample has.
const DEPENDENCIES: [&str; 3] = ["http", "nix", "tower-http"];
/// The page for a bare clone's first step.
const FIRST_ROUTE: &str = "docs/first-route.md";

/// Takes the sample app out of `tree`, of which `template` is the original.
///
/// # Errors
/// When a file is not as expected.
pub(crate) fn strip(tree: &mut Tree, template: &Tree) -> Result<(), String> {
    tree.leave_out(|path| SAMPLE.iter().any(|folder| path.starts_with(folder)) || PAGES.contains(&path));
    tree.0.extend(overlay(template).0);
    tree.set(FIRST_ROUTE, template.text(FIRST_ROUTE)?);
    let text = manifest::without_dependencies(tree.text("Cargo.toml")?, &DEPENDENCIES);
    tree.set("Cargo.toml", text);
    cut_settings(tree)
}

/// The tests that hold for any app, in the place of the sample's.
pub(crate) fn with_tests(tree: &mut Tree, template: &Tree) {
    tree.leave_out(|path| path.starts_with(SAMPLE[1]));
    let mut tests = overlay(template);
    tests.leave_out(|path| !path.starts_with(SAMPLE[1]));
    tree.0.extend(tests.0);
}

/// What takes the place of the sample's files.
fn overlay(template: &Tree) -> Tree {
    let mut files = template.clone();
    files.leave_out(|path| !path.starts_with(OVERLAY));
    parts::overlay(&mut files, OVERLAY);
    files.leave_out(|path| path.starts_with(OVERLAY));
    files
}

/// What the generated files say of the sample's settings.
fn cut_settings(tree: &mut Tree) -> Result<(), String> {
    let reference = tree.text("docs/configuration.md")?;
    let cut = without_table(reference).ok_or("docs/configuration.md: no table of the app's settings")?;
    tree.set("docs/configuration.md", cut);
    for path in ["docs/settings.schema.json", "helm/values.schema.json"] {
        let cut = without_properties(tree.text(path)?).ok_or_else(|| format!("{path}: no settings \"app\""))?;
        tree.set(path, cut);
    }
    Ok(())
}

/// `reference` without the table of the app's settings; the sections behind it stay.
fn without_table(reference: &str) -> Option<String> {
    let table = "\n| key | default | environment | reloadable | meaning |\n|---|---|---|---|---|\n| `app.";
    let (head, rest) = reference.split_once(table)?;
    let tail = rest.find("\n\n## ").map_or("", |end| &rest[end + 1..]);
    Some(format!("{head}{tail}"))
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
    fn a_reference_loses_the_apps_table_and_no_section() {
        let table = |key: &str| {
            format!(
                "\n| key | default | environment | reloadable | meaning |\n|---|---|---|---|---|\n| `{key}` | … |\n"
            )
        };
        let server = format!("# Configuration\n\n## server\n{}", table("server.a"));
        let app = format!("\n## app\n\nThe app's.\n{}", table("app.a"));
        let names = "\n## OpenTelemetry's names\n\n| name |\n|---|\n| `OTEL_A` |\n";
        let bare = format!("{server}\n## app\n\nThe app's.\n{names}");
        assert_eq!(without_table(&format!("{server}{app}{names}")).unwrap(), bare);
        assert_eq!(without_table(&format!("{server}{app}")).unwrap(), format!("{server}\n## app\n\nThe app's.\n"));
        assert_eq!(without_table(&server), None);
    }

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
