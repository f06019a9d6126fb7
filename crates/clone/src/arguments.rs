//! The command line.
//!
//! Next: [`crate::tree`].

use std::{ffi::OsString, path::PathBuf};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Starts a new service from this one.

  cargo run --bin clone -- NAME FOLDER     a new folder, with a history of its own
  cargo run --bin clone -- NAME --in-place the present tree, after \"use this template\"

  --bare              without the sample app: no route but the platform's
  --with NAMES        crates of crates/ to take along, by comma; others are left out
  --source URL        where `make template-update` fetches from; otherwise the remote `origin`, or this folder
  --no-history        files only, without git
";

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) name: String,
    /// None: in place.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) bare: bool,
    pub(crate) with: Vec<String>,
    pub(crate) source: Option<String>,
    pub(crate) no_history: bool,
    pub(crate) help: bool,
}

/// The arguments as texts.
///
/// # Errors
/// The first that is none.
pub(crate) fn words(arguments: impl Iterator<Item = OsString>) -> Result<Vec<String>, String> {
    arguments.map(|word| word.into_string().map_err(|word| format!("{} is not in UTF-8", word.display()))).collect()
}

/// Reads `arguments`, the program's name apart.
///
/// # Errors
/// What cannot be understood, or is missing.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut parsed = Arguments::default();
    let (mut free, mut in_place) = (Vec::new(), false);
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let (option, mut value) = match argument.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(value.to_owned())),
            _ => (&*argument, None),
        };
        let mut take = || value.take().or_else(|| arguments.next()).ok_or_else(|| format!("{option} needs a value"));
        match option {
            "--help" | "-h" => parsed.help = true,
            "--bare" => parsed.bare = true,
            "--in-place" => in_place = true,
            "--no-history" => parsed.no_history = true,
            "--with" => parsed.with.extend(crates(&take()?)?),
            "--source" => parsed.source = Some(take()?),
            _ if option.starts_with('-') => return Err(format!("unknown option {option}; see --help")),
            _ => free.push(argument.clone()),
        }
        if value.is_some() {
            return Err(format!("{option} takes no value"));
        }
    }
    if parsed.help {
        return Ok(parsed);
    }
    let mut free = free.into_iter();
    parsed.name = free.next().ok_or("which name? see --help")?;
    parsed.folder = free.next().map(PathBuf::from);
    match (free.next(), parsed.folder.is_some(), in_place) {
        (Some(more), ..) => Err(format!("{more:?} is one argument too many; see --help")),
        (None, true, true) => Err("a folder or --in-place, not both".into()),
        (None, false, false) => Err("which folder? Or --in-place; see --help".into()),
        _ => Ok(parsed),
    }
}

fn crates(list: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = list.split(',').map(|name| name.trim().to_owned()).collect();
    if names.iter().any(String::is_empty) { Err(format!("--with {list:?} has an empty name")) } else { Ok(names) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Arguments, String> {
        parse(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn options_stand_anywhere() {
        let expected = Arguments {
            name: "orders".into(),
            folder: Some("../orders".into()),
            bare: true,
            with: vec!["wsgi".into(), "uwsgi-plugin".into()],
            source: Some("https://example.com/t.git".into()),
            ..Arguments::default()
        };
        let line = "--bare orders --with wsgi,uwsgi-plugin ../orders --source=https://example.com/t.git";
        assert_eq!(parsed(line), Ok(expected));
        assert_eq!(parsed("orders --in-place").unwrap().folder, None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, why) in [
            ("--bare", "which name"),
            ("orders", "which folder"),
            ("orders a b", "\"b\" is one argument too many"),
            ("orders a --in-place", "not both"),
            ("orders a --bair", "unknown option --bair"),
            ("orders a --bare=yes", "--bare takes no value"),
            ("orders a --with", "--with needs a value"),
            ("orders a --with a,,b", "empty name"),
            ("orders a --with=", "empty name"),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}
