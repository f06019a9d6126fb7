//! The name in the rendered manifests, `k8s/`: as a word where names stand, so that a service may be called `a`.
//!
//! `make chart` holds the result to what the chart renders.
//!
//! Next: [`crate::sha1`].

use crate::{sha1, tree::Tree};

/// What stands right before a name.
const BEFORE: [&str; 11] = [
    " name: ",
    "instance: ",
    "/name: ",
    " value: ",
    "serviceAccountName: ",
    "replacement: ",
    "namespace: ",
    "image: ",
    "namespace=\"",
    "job=\"",
    "\"title\":\"",
];
/// What may follow it, before its end.
const AFTER: [&str; 8] = ["", "-admin", "-dashboard", "-migrate", "-overlay", "-dev", "-prod", "-staging"];
/// Namespaces that a dashboard's id is made of, behind the name; none: the base's.
const ENVIRONMENTS: [&str; 3] = ["-dev", "-prod", "-staging"];

/// Calls the service `new` instead of `old` in all manifests.
///
/// # Errors
/// When something there has the new name already, or nothing had the old one.
pub(crate) fn rename(tree: &mut Tree, old: &str, new: &str) -> Result<(), String> {
    let mut found = 0;
    for path in tree.below("k8s/") {
        let text = tree.text(&path)?;
        if old != new
            && let Some(at) = places(text, new).first()
        {
            let line = text[..*at].lines().count();
            return Err(format!(
                "{path}:{line} already has something called {new}; a clone of that name would mix them up"
            ));
        }
        let at = places(text, old);
        found += at.len();
        let text = replaced(text, old, new, &at);
        tree.set(&path, text);
    }
    if found == 0 { Err(format!("k8s/ does not name {old}; run `make generate`")) } else { Ok(()) }
}

/// Where `name` stands as a name.
fn places(text: &str, name: &str) -> Vec<usize> {
    text.match_indices(name).map(|(at, _)| at).filter(|at| is_name(&text[..*at], &text[at + name.len()..])).collect()
}

fn is_name(before: &str, after: &str) -> bool {
    if before.ends_with("path: /data/") || before.ends_with("\n  ") {
        return after.starts_with(".json");
    }
    let ends = |rest: &str| rest.is_empty() || rest.starts_with(['\n', '"']);
    if before.ends_with("image: ") {
        return after.starts_with(':') || after.starts_with('@') || ends(after);
    }
    BEFORE.iter().any(|mark| before.ends_with(mark))
        && AFTER.iter().any(|suffix| after.strip_prefix(suffix).is_some_and(ends))
}

fn replaced(text: &str, old: &str, new: &str, at: &[usize]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for place in at {
        out += &text[from..*place];
        out += new;
        from = place + old.len();
    }
    out += &text[from..];
    let id = |namespace: &str, name: &str| sha1::hex(&format!("{namespace}/{name}"));
    out = out.replace(&id("default", old), &id("default", new));
    for environment in ENVIRONMENTS {
        let of = |name: &str| id(&format!("{name}{environment}"), name);
        out = out.replace(&of(old), &of(new));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "# a word\nmetadata:\n  name: a\n  x-name: ab\n  labels:\n    app.kubernetes.io/name: a\n\
        image: a:0.1.0\n  name: a-admin\n- name: server\nnamespace: a-prod\n\
        expr: up{namespace=\"a-prod\",job=\"a\"} > a\n  a.json: '{\"title\":\"a\",\"x\":\"a\"}'\n";

    #[test]
    fn a_name_of_one_letter_is_told_from_words() {
        let mut tree = Tree::of(&[("k8s/base/all.yaml", MANIFEST)]);
        rename(&mut tree, "a", "orders").unwrap();
        let expected = "# a word\nmetadata:\n  name: orders\n  x-name: ab\n  labels:\n    app.kubernetes.io/name: orders\n\
            image: orders:0.1.0\n  name: orders-admin\n- name: server\nnamespace: orders-prod\n\
            expr: up{namespace=\"orders-prod\",job=\"orders\"} > a\n  orders.json: '{\"title\":\"orders\",\"x\":\"a\"}'\n";
        assert_eq!(tree.text("k8s/base/all.yaml").unwrap(), expected);
    }

    #[test]
    fn a_dashboards_id_follows_the_name() {
        let text = format!("  name: a\n uid: {}", sha1::hex("a-prod/a"));
        let mut tree = Tree::of(&[("k8s/x.yaml", &text)]);
        rename(&mut tree, "a", "b").unwrap();
        assert!(tree.text("k8s/x.yaml").unwrap().ends_with(&sha1::hex("b-prod/b")));
    }

    #[test]
    fn a_name_that_a_manifest_has_already_is_refused() {
        let mut tree = Tree::of(&[("k8s/base/all.yaml", MANIFEST)]);
        let error = rename(&mut tree, "a", "server").unwrap_err();
        assert!(error.contains("k8s/base/all.yaml:9"), "{error}");
        let error = rename(&mut tree, "nobody", "orders").unwrap_err();
        assert!(error.contains("nobody"), "{error}");
    }
}
