//! The command line.
//!
//! Next: [`crate::source`].

use std::{ffi::OsString, path::PathBuf};

use crate::engine::Mode;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Starts a new service from this template.

  cargo run --bin clone -- NAME FOLDER     a new folder, with a history of its own
  cargo run --bin clone -- NAME --in-place the present tree, after \"use this template\"
  cargo run --bin clone -- upgrade FOLDER  a clone whose engine is copied into src/chassis becomes one that depends on it

  --bare              without the sample app: no routes but the platform's
  --engine MODE       how the service depends on the engine:
                        git     from the template's repository; the default where its URL is https or ssh
                        path    from this folder; for a monorepo with many services
                        vendor  from a copy in vendor/; the default otherwise
  --source URL        the template's repository; otherwise the remote `origin`, or this folder
  --no-history        files only, without git
";

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) task: Task,
    pub(crate) bare: bool,
    /// None: by the source.
    pub(crate) engine: Option<Mode>,
    pub(crate) source: Option<String>,
    pub(crate) no_history: bool,
    /// For scripts/template-update: files only, with these keys of the dependency on the engine, and no fresh lock file.
    pub(crate) render: Option<String>,
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Task {
    #[default]
    Help,
    New {
        name: String,
        folder: PathBuf,
    },
    InPlace {
        name: String,
    },
    Upgrade {
        folder: PathBuf,
    },
}

/// The arguments as texts.
///
/// # Errors
/// The first that is not UTF-8.
pub(crate) fn words(arguments: impl Iterator<Item = OsString>) -> Result<Vec<String>, String> {
    arguments.map(|word| word.into_string().map_err(|word| format!("{} is not in UTF-8", word.display()))).collect()
}

/// Reads `arguments`, the program's name apart.
///
/// # Errors
/// What cannot be understood, or is missing.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut parsed = Arguments::default();
    let (mut free, mut in_place, mut help) = (Vec::new(), false, false);
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let (option, mut value) = match argument.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(value.to_owned())),
            _ => (&*argument, None),
        };
        let mut take = || value.take().or_else(|| arguments.next()).ok_or_else(|| format!("{option} needs a value"));
        match option {
            "--help" | "-h" => help = true,
            "--bare" => parsed.bare = true,
            "--in-place" => in_place = true,
            "--no-history" => parsed.no_history = true,
            "--engine" => parsed.engine = Some(Mode::named(&take()?)?),
            "--source" => parsed.source = Some(take()?),
            "--render" => parsed.render = Some(take()?),
            _ if option.starts_with('-') => return Err(format!("unknown option {option}; see --help")),
            _ => free.push(argument.clone()),
        }
        if value.is_some() {
            return Err(format!("{option} takes no value"));
        }
    }
    if !help {
        parsed.task = task(free, in_place)?;
    }
    Ok(parsed)
}

fn task(free: Vec<String>, in_place: bool) -> Result<Task, String> {
    let mut free = free.into_iter();
    let name = free.next().ok_or("which name? see --help")?;
    let folder = free.next().map(PathBuf::from);
    if let Some(more) = free.next() {
        return Err(format!("{more:?} is one argument too many; see --help"));
    }
    match (folder, in_place) {
        (Some(folder), false) if name == "upgrade" => Ok(Task::Upgrade { folder }),
        (_, _) if name == "upgrade" => Err("upgrade which folder? see --help".into()),
        (Some(folder), false) => Ok(Task::New { name, folder }),
        (None, true) => Ok(Task::InPlace { name }),
        (Some(_), true) => Err("a folder or --in-place, not both".into()),
        (None, false) => Err("which folder? Or --in-place; see --help".into()),
    }
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
            task: Task::New { name: "orders".into(), folder: "../orders".into() },
            bare: true,
            engine: Some(Mode::Vendor),
            source: Some("https://example.com/t.git".into()),
            ..Arguments::default()
        };
        let line = "--bare orders --engine vendor ../orders --source=https://example.com/t.git";
        assert_eq!(parsed(line), Ok(expected));
        assert_eq!(parsed("orders --in-place").unwrap().task, Task::InPlace { name: "orders".into() });
        assert_eq!(parsed("upgrade ../old").unwrap().task, Task::Upgrade { folder: "../old".into() });
        assert_eq!(parsed("orders --help").unwrap().task, Task::Help);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, why) in [
            ("--bare", "which name"),
            ("orders", "which folder"),
            ("upgrade", "upgrade which folder"),
            ("orders a b", "\"b\" is one argument too many"),
            ("orders a --in-place", "not both"),
            ("orders a --bair", "unknown option --bair"),
            ("orders a --bare=yes", "--bare takes no value"),
            ("orders a --source", "--source needs a value"),
            ("orders a --engine copy", "--engine copy: there are git, path and vendor"),
            ("orders a --with wsgi", "unknown option --with"),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}
