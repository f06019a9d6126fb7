//! What an upgraded clone's code says of the engine: where it is, and what has another name since.
//!
//! Only paths and imports are edited: a type with another name is imported under the one that the code knows.
//!
//! Next: [`crate::merge`].

use std::path::Path;

use crate::{
    engine,
    tree::{Entry, Tree},
};

/// A type of the engine's face: its module, and its name before and now.
pub(crate) type Renamed = (&'static str, &'static str, &'static str);

const TYPES: [Renamed; 2] = [("config", "Problem", "SettingError"), ("config", "Problems", "SettingErrors")];

/// The types that the engine of `template` calls otherwise.
pub(crate) fn types(template: &Tree) -> Vec<Renamed> {
    let sources = template.below(&format!("{}/src/", engine::FOLDER));
    let texts: Vec<&str> = sources.iter().filter_map(|path| template.text(path).ok()).collect();
    let has = |name: &str| {
        texts.iter().any(|text| text.split("pub struct ").skip(1).any(|rest| begins_with_word(rest, name)))
    };
    TYPES.into_iter().filter(|(_, _, now)| has(now)).collect()
}

/// The file `path` of the clone, with the engine where and what it is now.
pub(crate) fn repointed(path: &str, entry: &Entry, types: &[Renamed]) -> Entry {
    let Entry::File { content, executable } = entry else { return entry.clone() };
    let is_code = Path::new(path).extension().is_some_and(|ending| ending == "rs");
    match str::from_utf8(content) {
        Ok(text) if is_code => {
            let text = lifted(text).replace("crate::chassis", "chassis").replace("service::chassis", "chassis");
            let text = types.iter().fold(text, |text, of| renamed(&text, *of));
            Entry::File { content: text.into(), executable: *executable }
        }
        _ => entry.clone(),
    }
}

/// Imports of the engine out of `use crate::{…}` get a `use` of their own; rustfmt, which is to follow, orders them.
fn lifted(text: &str) -> String {
    const HEAD: &str = "use crate::{";
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, group)) = rest.split_once(HEAD) {
        let Some((items, after)) = items(group) else { break };
        let (engines, others): (Vec<&str>, Vec<&str>) =
            items.into_iter().partition(|item| *item == "chassis" || item.starts_with("chassis::"));
        out += before;
        let mut uses: Vec<String> = engines.iter().map(|item| format!("use {item};")).collect();
        if !others.is_empty() {
            uses.insert(0, format!("{HEAD}{}}};", others.join(", ")));
        }
        // As it was, where there is none.
        let whole = &rest[before.len()..rest.len() - after.len()];
        out += &if engines.is_empty() { whole.to_owned() } else { uses.join("\n") };
        rest = after;
    }
    out + rest
}

/// The items of a group of imports up to its end, and what follows the semicolon behind it.
fn items(group: &str) -> Option<(Vec<&str>, &str)> {
    let (mut depth, mut from, mut items) = (0_usize, 0, Vec::new());
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' if depth == 0 => {
                items.push(group[from..at].trim());
                from = at + 1;
            }
            '}' => {
                items.push(group[from..at].trim());
                items.retain(|item| !item.is_empty());
                return Some((items, group[at + 1..].strip_prefix(';')?));
            }
            _ => {}
        }
    }
    None
}

fn renamed(text: &str, (module, was, now): Renamed) -> String {
    let mark = format!("{module}::");
    let mut parts = text.split(&mark);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_import = out.rsplit(['\n', ';']).next().is_some_and(|line| line.trim_start().starts_with("use "))
            || out.rfind("use ").is_some_and(|at| !out[at..].contains(';'));
        let list = part.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let named = if is_import { format!("{now} as {was}") } else { now.to_owned() };
        out += &mark;
        match list {
            Some((list, rest)) => {
                out.push('{');
                out += &with_word(list, was, &named);
                out.push('}');
                out += rest;
            }
            None if begins_with_word(part, was) => {
                out += &named;
                out += &part[was.len()..];
            }
            None => out += part,
        }
    }
    out
}

/// `list`, whose item `was` is `now`.
fn with_word(list: &str, was: &str, now: &str) -> String {
    let items =
        list.split(',').map(|item| if item.trim() == was { item.replacen(was, now, 1) } else { item.to_owned() });
    items.collect::<Vec<_>>().join(",")
}

fn begins_with_word(text: &str, word: &str) -> bool {
    let rest = text.strip_prefix(word);
    rest.is_some_and(|rest| !rest.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_type_is_imported_under_the_name_that_the_code_knows() {
        let code = "use crate::chassis::{\n    config::{Check, Problem,\n        Problems},\n    problem::Problem as Answer,\n};\n\
            use crate::chassis::config::Problems;\nfn check(problems: &mut Problems) { config::Problem::new(); config::Problems::default() }\n";
        let expected = "use chassis::{\n    config::{Check, SettingError as Problem,\n        SettingErrors as Problems},\n    problem::Problem as Answer,\n};\n\
            use chassis::config::SettingErrors as Problems;\nfn check(problems: &mut Problems) { config::SettingError::new(); config::SettingErrors::default() }\n";
        let Entry::File { content, .. } =
            repointed("src/app/mod.rs", &Entry::File { content: code.into(), executable: false }, &TYPES)
        else {
            panic!("no file")
        };
        assert_eq!(String::from_utf8(content).unwrap(), expected);
    }

    #[test]
    fn an_import_of_the_engine_leaves_its_group() {
        let code = "use a;\nuse crate::{\n    app::{x, y},\n    chassis::{\n        b::C,\n        d,\n    },\n};\nuse crate::{app, other};\nuse crate::{chassis::Chassis};\n";
        let expected = "use a;\nuse crate::{app::{x, y}};\nuse chassis::{\n        b::C,\n        d,\n    };\nuse crate::{app, other};\nuse chassis::Chassis;\n";
        assert_eq!(lifted(code), expected);
    }

    #[test]
    fn only_names_that_the_engine_at_hand_has_are_taken() {
        let template = Tree::of(&[("crates/chassis/src/config/error.rs", "pub struct SettingErrors(u8);")]);
        assert_eq!(types(&template), [("config", "Problems", "SettingErrors")]);
    }
}
