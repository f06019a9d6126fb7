//! Which names a service may have: one that is good as a package, a chart, a DNS label and a YAML word.
//!
//! Next: [`crate::edits`].

/// The chart has 50 characters for a name and adds to it; environments add `-staging` to it for the namespace.
const MAX: usize = 40;

/// Strict and reserved words of Rust 2024; a keyword as a package's name is refused by cargo.
const KEYWORDS: [&str; 52] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "typeof", "union", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Crates that come with the compiler, and what cargo keeps for itself: as a package's name they break builds.
const CRATES: [&str; 6] = ["alloc", "core", "proc-macro", "std", "test", "build"];

/// The library of every clone, its engine, and what the engine depends on by path: two packages of one name would meet.
const OURS: [&str; 4] = ["chassis", "heap", "service", "wsgi"];

/// What YAML reads as something else than a text.
const YAML: [&str; 8] = ["n", "no", "null", "off", "on", "y", "yes", "nan"];

/// Whether a service may be called `name`.
///
/// # Errors
/// Which rule it breaks, and what would be right.
pub(crate) fn check(name: &str) -> Result<(), String> {
    let refuse = |why: &str| Err(format!("the name {name:?} {why}"));
    let is_good = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if name.is_empty() {
        return refuse("is empty");
    }
    if name.len() > MAX {
        return refuse(&format!(
            "has {} characters; {MAX} are the most, so that Kubernetes' 63 have room for what is added",
            name.len()
        ));
    }
    if let Some(letter) = name.chars().find(|letter| !is_good(*letter)) {
        return refuse(&format!("has {letter:?}; a DNS label (RFC 1123) has a-z, 0-9 and - only"));
    }
    if !name.starts_with(|letter: char| letter.is_ascii_lowercase()) {
        return refuse("must begin with a letter, as names of Services and packages do");
    }
    if name.ends_with('-') {
        return refuse("ends with -; a DNS label (RFC 1123) ends with a letter or a digit");
    }
    if KEYWORDS.contains(&name) {
        return refuse("is a keyword of Rust");
    }
    if CRATES.contains(&name) {
        return refuse("belongs to the compiler or to cargo; try another, such as a plural");
    }
    if OURS.contains(&name) {
        return refuse("is taken by a part of every clone");
    }
    if YAML.contains(&name) {
        return refuse("is read by YAML as something else than a text");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_and_odd_names_are_good() {
        let long = "a".repeat(MAX);
        for name in ["a", "orders", "or-ders", "a-b--c", "x1", "tokio", "serde", "service-2", &long] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn bad_names_are_refused_with_the_reason() {
        let long = "a".repeat(MAX + 1);
        for (name, why) in [
            ("", "is empty"),
            (&*long, "41 characters"),
            ("Orders", "'O'"),
            ("or_ders", "'_'"),
            ("or.ders", "'.'"),
            ("ordérs", "'é'"),
            ("../x", "'.'"),
            ("a b", "' '"),
            ("1a", "begin with a letter"),
            ("-a", "begin with a letter"),
            ("a-", "ends with -"),
            ("fn", "keyword"),
            ("gen", "keyword"),
            ("std", "compiler"),
            ("test", "compiler"),
            ("proc-macro", "compiler"),
            ("chassis", "taken"),
            ("service", "taken"),
            ("no", "YAML"),
        ] {
            let error = check(name).expect_err(name);
            assert!(error.contains(why), "{error}");
        }
    }
}
