//! What pages say of what stays behind: rows of tables and marked parts go, and links become their words. So a clone's
//! own `make docs`, which follows every link, has nothing to complain of.
//!
//! A part is marked by `<!-- with PATH -->` and `<!-- end -->`, each on a line of its own; a page that is one part goes whole.
//!
//! Next: [`crate::rename`].

use std::path::Path;

use crate::{parts, tree::Tree};

const END: &str = "<!-- end -->";
/// The engine's part of the Makefile.
const ENGINE_STEPS: &str = "crates/chassis/engine.mk";

/// Takes out of the pages of `tree` what speaks of paths and of targets of make that `before` had and it has not.
///
/// # Errors
/// Marks without an end, or of a path that was never there.
pub(crate) fn mend(tree: &mut Tree, before: &Tree) -> Result<(), String> {
    let gone = Gone::new(before, tree)?;
    for page in pages(tree) {
        let text = tree.text(&page)?;
        let left = without_parts(text, &gone).map_err(|error| format!("{page}: {error}"))?;
        if left.is_empty() && !text.is_empty() {
            tree.0.remove(&page);
        } else {
            tree.set(&page, left);
        }
    }
    // Once more, as pages may be gone, too.
    let gone = Gone::new(before, tree)?;
    for page in pages(tree) {
        let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
        let text = unlinked(&without_rows(tree.text(&page)?, folder, &gone), folder, &gone);
        tree.set(&page, text);
    }
    Ok(())
}

fn pages(tree: &Tree) -> Vec<String> {
    let is_page = |path: &&String| Path::new(path).extension().is_some_and(|ending| ending == "md");
    tree.0.keys().filter(is_page).cloned().collect()
}

/// What was there.
struct Gone<'a> {
    before: &'a Tree,
    after: Tree,
    targets: Vec<String>,
}

impl<'a> Gone<'a> {
    fn new(before: &'a Tree, after: &Tree) -> Result<Self, String> {
        let left = parts::targets(after.text("Makefile")?);
        let mut targets = parts::targets(before.text("Makefile")?);
        targets.extend(before.text(ENGINE_STEPS).map(parts::targets).unwrap_or_default());
        targets.retain(|target| !left.contains(target));
        Ok(Self { before, after: after.clone(), targets })
    }

    fn has_path(&self, path: &str) -> bool {
        self.before.holds(path) && !self.after.holds(path)
    }

    /// Whether `target` of a link on a page in `folder` is one of them.
    fn has_link(&self, folder: &str, target: &str) -> bool {
        let path = target.split('#').next().unwrap_or_default();
        !path.is_empty() && self.has_path(&resolved(folder, path))
    }

    /// Whether what stands in backquotes is a call of make for one of them.
    fn has_command(&self, command: &str) -> bool {
        command.strip_prefix("make ").is_some_and(|target| self.targets.iter().any(|gone| gone == target))
    }
}

/// `path`, as a page in `folder` names it, from the root.
fn resolved(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn without_parts(text: &str, gone: &Gone) -> Result<String, String> {
    let (mut kept, mut open) = (String::with_capacity(text.len()), None);
    for line in text.split_inclusive('\n') {
        let mark = line.trim_end();
        let path = mark.strip_prefix("<!-- with ").and_then(|rest| rest.strip_suffix(" -->"));
        match (path, &open) {
            (Some(_), Some(_)) => return Err(format!("{mark} comes before the end of another part")),
            (Some(path), None) if !gone.before.holds(path) => {
                return Err(format!("{mark} names nothing that is there"));
            }
            (Some(path), None) => open = Some(gone.has_path(path)),
            (None, None) if mark == END => return Err(format!("{END} ends nothing")),
            _ => {}
        }
        let is_blank_after_blank = mark.is_empty() && (kept.is_empty() || kept.ends_with("\n\n"));
        if open != Some(true) && !is_blank_after_blank {
            kept += line;
        }
        if mark == END {
            open = None;
        }
    }
    if open.is_some() { Err(format!("a part has no {END}")) } else { Ok(kept) }
}

/// Rows go whose first cell speaks of nothing that is left.
fn without_rows(text: &str, folder: &str, gone: &Gone) -> String {
    let is_left = |line: &&str| {
        let Some(cell) = line.strip_prefix('|').and_then(|row| row.split('|').next()) else { return true };
        let links = cell.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let commands = cell.split('`').skip(1).step_by(2).filter(|command| command.starts_with("make "));
        let of_links = links.map(|target| gone.has_link(folder, target));
        let mut all = of_links.chain(commands.map(|command| gone.has_command(command))).peekable();
        all.peek().is_none() || !all.all(|is_gone| is_gone)
    };
    text.split_inclusive('\n').filter(is_left).collect()
}

/// Links whose target is gone are the words that they were.
fn unlinked(text: &str, folder: &str, gone: &Gone) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((words, link)) = rest.split_once("](") {
        kept += words;
        match (link.split_once(')'), kept.rfind('[')) {
            (Some((target, after)), Some(open)) if gone.has_link(folder, target) => {
                kept.remove(open);
                rest = after;
            }
            _ => {
                kept += "](";
                rest = link;
            }
        }
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A page\n\nSee [`here`](here.md#x), [there](../crates/a/src/lib.rs),\n[the\ncrate](../crates/a), \
        [net](https://example.com).\n\n| what | for |\n|---|---|\n| [a](../crates/a) | gone |\n| [whole](whole.md) | gone |\n| [a](../crates/a), [b](here.md) | [a](../crates/a/src/lib.rs) |\n\
        | `make a` | gone |\n| `make b` | left |\n\n<!-- with crates/a -->\nOf a: `make a`.\n<!-- end -->\n\n<!-- with docs/here.md -->\nLeft.\n<!-- end -->\n";

    fn trees() -> (Tree, Tree) {
        let before = Tree::of(&[
            ("Makefile", "a:\n\ttrue\n\nb:\n\ttrue\n"),
            ("crates/a/src/lib.rs", ""),
            ("docs/here.md", ""),
            ("docs/page.md", PAGE),
            ("docs/whole.md", "<!-- with crates/a -->\n# Of a\n\nWords.\n<!-- end -->\n"),
        ]);
        let mut after = before.clone();
        after.leave_out(|path| path.starts_with("crates/a/"));
        after.set("Makefile", "b:\n\ttrue\n");
        (before, after)
    }

    #[test]
    fn a_page_says_nothing_of_what_stays_behind() {
        let (before, mut after) = trees();
        mend(&mut after, &before).unwrap();
        let expected = "# A page\n\nSee [`here`](here.md#x), there,\nthe\ncrate, [net](https://example.com).\n\n\
            | what | for |\n|---|---|\n| a, [b](here.md) | a |\n| `make b` | left |\n\n\
            <!-- with docs/here.md -->\nLeft.\n<!-- end -->\n";
        assert_eq!(after.text("docs/page.md").unwrap(), expected);
        assert!(!after.holds("docs/whole.md"));
    }

    #[test]
    fn a_page_of_which_nothing_is_gone_stays_as_it_is() {
        let (before, _) = trees();
        let mut after = before.clone();
        mend(&mut after, &before).unwrap();
        assert_eq!(after, before);
    }

    #[test]
    fn marks_that_are_wrong_are_refused_with_their_page() {
        for (text, why) in [
            ("<!-- with crates/a -->\nwords\n", "no <!-- end -->"),
            ("<!-- with crates/b -->\nwords\n<!-- end -->\n", "<!-- with crates/b --> names nothing"),
            ("<!-- end -->\n", "ends nothing"),
            ("<!-- with crates/a -->\n<!-- with docs -->\n<!-- end -->\n", "before the end of another"),
        ] {
            let (before, mut after) = trees();
            after.set("docs/page.md", text);
            let error = mend(&mut after, &before).expect_err(text);
            assert!(error.starts_with("docs/page.md: ") && error.contains(why), "{error}");
        }
    }
}
