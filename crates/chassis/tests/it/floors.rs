//! The floors of the engine: a module uses modules below it in lib.rs, never above it.
//!
//! Read from the source, since the compiler allows circles between the modules of a crate. Tests may look anywhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::chassis::{File, none, sources};

const SOURCE: &str = "crates/chassis/src/";

/// One module uses another: the two names, and where the code says so.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrow {
    from: String,
    to: String,
    place: String,
}

#[test]
fn no_module_of_the_engine_uses_one_above_it() {
    let floors = floors();
    let level = |name: &str| floors.iter().position(|floor| floor == name);
    let up = arrows().into_iter().filter(|arrow| level(&arrow.to) <= level(&arrow.from));
    none(up.map(|Arrow { from, to, place }| format!("{from} -> {to}: {place}")));
}

/// No arrow up leaves no circle; this one does not depend on how the first reads the order.
#[test]
fn no_two_modules_of_the_engine_need_each_other() {
    let mut below: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for arrow in arrows() {
        below.entry(arrow.from).or_default().insert(arrow.to);
    }
    let reached = |from: &String| {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![from];
        while let Some(next) = waiting.pop() {
            for to in below.get(next).into_iter().flatten() {
                if reached.insert(to.clone()) {
                    waiting.push(to);
                }
            }
        }
        reached
    };
    none(below.keys().filter(|name| reached(name).contains(*name)).map(|name| format!("{name} is in a circle")));
}

#[test]
fn no_path_inside_the_engine_goes_through_its_front_page() {
    let floors = floors();
    none(arrows().into_iter().filter(|arrow| !floors.contains(&arrow.to)).map(|arrow| arrow.place));
}

/// The modules in the order of lib.rs, top floor first.
fn floors() -> Vec<String> {
    let lib = sources(SOURCE).into_iter().find(|file| file.name.ends_with("src/lib.rs")).expect("lib.rs");
    let names = lib.text.lines().filter_map(|line| line.strip_suffix(';')?.split_once("mod "));
    let names = names.filter(|(visibility, _)| matches!(*visibility, "" | "pub " | "pub(crate) "));
    let names: Vec<String> = names.map(|(_, name)| name.to_owned()).collect();
    assert!(names.len() > 10, "lib.rs lists the modules: {names:?}");
    names
}

fn arrows() -> Vec<Arrow> {
    let files = sources(SOURCE);
    let tests = test_modules(&files);
    let code = files.iter().filter(|file| !file.is_test() && !tests.iter().any(|test| is_in(&file.name, test)));
    let mut arrows: Vec<Arrow> = code.filter(|file| !file.name.ends_with("src/lib.rs")).flat_map(arrows_of).collect();
    arrows.sort();
    arrows.dedup();
    arrows
}

fn arrows_of(file: &File) -> Vec<Arrow> {
    let module = module(&file.name);
    let text = without_tests(&without_comments(&file.text));
    // As many steps up as the module is deep lead to the root of the crate.
    let root = "super::".repeat(module.len());
    let starts = ["crate::", &root].map(|start| heads(&text, start)).concat();
    let others = starts.into_iter().filter(|(head, _)| *head != module[0]);
    let arrow = |(to, line): (String, usize)| {
        let place = format!("{}:{line} names {to}", file.name);
        Arrow { from: module[0].clone(), to, place }
    };
    others.map(arrow).collect()
}

/// The first names of the paths that begin with `start`, each with its line; of `crate::{a, b::c}` both.
fn heads(text: &str, start: &str) -> Vec<(String, usize)> {
    let mut heads = Vec::new();
    for (at, _) in text.match_indices(start) {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &text[at + start.len()..];
        let found = match rest.strip_prefix('{') {
            Some(list) => entries(list),
            None => vec![(name(rest), 0)],
        };
        let line = |offset: usize| text[..at + start.len() + offset].matches('\n').count() + 1;
        // What is below `super::` again is no head of this start.
        heads.extend(found.into_iter().filter(|(name, _)| name != "super").map(|(name, at)| (name, line(at))));
    }
    heads
}

/// The first name of each entry of a list, up to the brace that ends it, with its place in `list`.
fn entries(list: &str) -> Vec<(String, usize)> {
    let mut entries = Vec::new();
    let (mut depth, mut is_next) = (0, true);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_next = true,
            _ if is_next && !c.is_whitespace() => {
                entries.push((name(&list[at..]), at + 1));
                is_next = false;
            }
            _ => {}
        }
    }
    entries
}

fn name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// `a/b/mod.rs` and `a/b.rs` are the module `a::b`.
fn module(file: &str) -> Vec<String> {
    let path = file.strip_prefix(SOURCE).and_then(|path| path.strip_suffix(".rs")).expect("a source file");
    path.split('/').filter(|part| *part != "mod").map(ToOwned::to_owned).collect()
}

/// Modules that are declared for tests only, as paths without their ending.
fn test_modules(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        let folder = file.name.trim_end_matches("/mod.rs").trim_end_matches(".rs");
        let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
        for pair in lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]") {
            let name = pair[1].trim_start_matches("pub(crate) ").strip_prefix("mod ");
            found.extend(name.and_then(|rest| rest.strip_suffix(';')).map(|name| format!("{folder}/{name}")));
        }
    }
    found
}

fn is_in(file: &str, module: &str) -> bool {
    file.strip_prefix(module).is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
}

/// `text` with blanks in the place of comments and texts; lines stay where they are.
fn without_comments(text: &str) -> String {
    let line = |line: &str| {
        let code = line.split_once("//").map_or(line, |(code, _)| code);
        let mut parts = code.split('"');
        let first = parts.next().unwrap_or_default().to_owned();
        // Every other part stands inside quotes.
        parts.enumerate().fold(first, |code, (index, part)| if index % 2 == 1 { code + "\"\"" + part } else { code })
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// `text` without the items that are compiled for tests only.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, item)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        let end = end_of_item(item);
        kept.extend(item[..end].chars().filter(|c| *c == '\n'));
        rest = &item[end..];
    }
    kept + rest
}

/// Where the item ends: with its last brace, or with a semicolon outside braces.
fn end_of_item(item: &str) -> usize {
    let mut depth = 0;
    for (at, c) in item.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

#[test]
fn paths_are_found_in_code_only() {
    let text = "use crate::{\n    a::b,\n    c::{d, e},\n};\n// crate::comment\nlet x = crate::f::g(\"crate::text\");\n\
                #[cfg(test)]\nmod tests {\n    use crate::test;\n}\nuse crate::last;";
    let found = heads(&without_tests(&without_comments(text)), "crate::");
    let expected = [("a", 2), ("c", 3), ("f", 6), ("last", 11)];
    assert_eq!(found, expected.map(|(name, line)| (name.to_owned(), line)));
}
