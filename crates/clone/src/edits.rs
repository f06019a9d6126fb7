//! Anchored edits: each names its file and the text that it replaces, which has to be there exactly once.
//!
//! Next: [`crate::rename`].

use crate::tree::Tree;

/// `old` becomes `new` in the file `path`.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    /// Relative to the root.
    pub(crate) path: &'static str,
    pub(crate) old: String,
    pub(crate) new: String,
}

impl Edit {
    pub(crate) fn new(path: &'static str, old: impl Into<String>, new: impl Into<String>) -> Self {
        Self { path, old: old.into(), new: new.into() }
    }
}

/// Makes all of `edits`, or none.
///
/// # Errors
/// Each anchor that is not there exactly once.
pub(crate) fn apply(tree: &mut Tree, edits: &[Edit]) -> Result<(), String> {
    let mut edited = tree.clone();
    let mut wrong = Vec::new();
    for Edit { path, old, new } in edits {
        match edited.text(path) {
            Err(error) => wrong.push(error),
            Ok(text) => match text.matches(old.as_str()).count() {
                1 => edited.set(path, text.replacen(old.as_str(), new, 1)),
                count => wrong.push(format!("{path}: {old:?} is there {count} times, not once")),
            },
        }
    }
    if wrong.is_empty() {
        *tree = edited;
        return Ok(());
    }
    Err(format!("the edits no longer fit this tree:\n  {}", wrong.join("\n  ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        Tree::of(&[("a", "one two two\n"), ("b", "three\n")])
    }

    #[test]
    fn an_edit_that_fits_is_made() {
        let mut tree = tree();
        apply(&mut tree, &[Edit::new("a", "one", "1"), Edit::new("b", "three", "3")]).unwrap();
        assert_eq!((tree.text("a").unwrap(), tree.text("b").unwrap()), ("1 two two\n", "3\n"));
    }

    #[test]
    fn one_that_does_not_fit_stops_all_and_each_is_named() {
        let mut tree = tree();
        let edits = [
            Edit::new("a", "one", "1"),
            Edit::new("a", "two", "2"),
            Edit::new("b", "four", "4"),
            Edit::new("c", "five", "5"),
        ];
        let error = apply(&mut tree, &edits).unwrap_err();
        for part in ["a: \"two\" is there 2 times", "b: \"four\" is there 0 times", "c: not in the tree"] {
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(tree.text("a").unwrap(), "one two two\n");
    }
}
