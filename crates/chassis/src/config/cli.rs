//! The command line.
//!
//! It names a subcommand and settings files. It takes no settings, so files and environment show all of them.
//!
//! Next: [`super::Settings`].

use std::{ffi::OsString, path::PathBuf};

use lexopt::{Arg, Parser, ValueExt};

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Serve until a stop signal.
    Run(Options),
    /// Validate the settings and print the effective ones.
    Check(Options),
    /// Bring databases up to what this version needs.
    Migrate(Options),
    /// Ask a replica whether it is ready.
    Healthcheck {
        /// The settings files of the replica.
        options: Options,
        /// The URL to request; none means the readiness of the replica with these settings.
        url: Option<String>,
    },
    /// Print the JSON Schema of the settings.
    Schema,
    /// Print the API's description.
    Openapi,
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// The files that settings come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--config`, in order.
    pub files: Vec<PathBuf>,
    /// `--overlay`.
    pub overlay: Option<PathBuf>,
}

/// Reads `args`, without the program's name.
///
/// # Errors
/// One readable line if an argument is unknown, superfluous or lacks its value.
pub(crate) fn parse<T: Into<OsString>>(args: impl IntoIterator<Item = T>) -> Result<Command, String> {
    let mut parser = Parser::from_args(args.into_iter().map(Into::into).collect::<Vec<OsString>>());
    let mut options = Options::default();
    let mut words: Vec<String> = Vec::new();
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help),
            Arg::Long("version") | Arg::Short('V') => return Ok(Command::Version),
            Arg::Long("config") => options.files.push(file(&mut parser, "--config")?),
            Arg::Long("overlay") if options.overlay.is_some() => return Err("--overlay may be given once".into()),
            Arg::Long("overlay") => options.overlay = Some(file(&mut parser, "--overlay")?),
            Arg::Value(word) => words.push(word.string().map_err(|_| "an argument is not valid UTF-8".to_owned())?),
            Arg::Long(name) => return Err(format!("unknown option --{name}; see --help")),
            Arg::Short(name) => return Err(format!("unknown option -{name}; see --help")),
        }
    }
    command(words, options)
}

fn file(parser: &mut Parser, option: &str) -> Result<PathBuf, String> {
    match parser.value() {
        Ok(value) if !value.is_empty() => Ok(value.into()),
        _ => Err(format!("{option} needs a file")),
    }
}

fn command(words: Vec<String>, options: Options) -> Result<Command, String> {
    let mut words = words.into_iter();
    let name = words.next().unwrap_or_else(|| "run".into());
    let command = match name.as_str() {
        "run" => Command::Run(options),
        "check" => Command::Check(options),
        "migrate" => Command::Migrate(options),
        "healthcheck" => Command::Healthcheck { options, url: words.next() },
        "schema" => Command::Schema,
        "openapi" => Command::Openapi,
        _ => {
            let known = "run, check, migrate, healthcheck, schema or openapi";
            return Err(format!("unknown subcommand {name}: expected {known}"));
        }
    };
    match words.next() {
        Some(word) => Err(format!("unexpected argument {word} after {name}")),
        None => Ok(command),
    }
}

/// The help, for a program called `binary`.
#[must_use]
pub(crate) fn help(binary: &str) -> String {
    format!(
        "\
Usage: {binary} [SUBCOMMAND] [--config FILE]... [--overlay FILE]

Subcommands:
  run                 serve until a stop signal (the default)
  check               validate the settings and print the effective ones, without secrets
  migrate             bring the service's databases up to what this version needs
  healthcheck [URL]   exit 0 when the replica is ready
  schema              print the JSON Schema of the settings
  openapi             print the API's description, OpenAPI 3.1 in JSON

Options:
  --config FILE       settings, as TOML or YAML; may repeat, a later file wins
  --overlay FILE      reloadable settings that override the files; may be missing
  -h, --help          print this
  -V, --version       print the version

Environment variables override files: APP__SERVER__REQUEST_TIMEOUT=5s sets server.request_timeout.

Exit codes:
  0    drained, or the subcommand succeeded
  1    requests were cut at the deadline, a runtime failure, a failed migration, or not ready
  78   the settings or the command line are wrong; every error is printed
  130  a second SIGINT
  143  a second SIGTERM
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace())
    }

    fn options(files: &[&str], overlay: Option<&str>) -> Options {
        Options { files: files.iter().map(PathBuf::from).collect(), overlay: overlay.map(PathBuf::from) }
    }

    #[test]
    fn subcommands_and_options_are_read_in_any_order() {
        assert_eq!(parsed(""), Ok(Command::Run(Options::default())));
        assert_eq!(
            parsed("run --config a.toml --config=b.yaml"),
            Ok(Command::Run(options(&["a.toml", "b.yaml"], None)))
        );
        assert_eq!(parsed("--overlay o.yaml check"), Ok(Command::Check(options(&[], Some("o.yaml")))));
        assert_eq!(parsed("migrate --config a.toml"), Ok(Command::Migrate(options(&["a.toml"], None))));
        assert_eq!(parsed("schema"), Ok(Command::Schema));
        assert_eq!(parsed("openapi"), Ok(Command::Openapi));
        assert_eq!(parsed("healthcheck"), Ok(Command::Healthcheck { options: Options::default(), url: None }));
        let url = Some("http://h:1/readyz".to_owned());
        assert_eq!(
            parsed("healthcheck http://h:1/readyz"),
            Ok(Command::Healthcheck { options: Options::default(), url })
        );
        assert_eq!(parsed("--help nonsense"), Ok(Command::Help));
        assert_eq!(parsed("-V"), Ok(Command::Version));
    }

    #[test]
    fn a_wrong_line_is_refused_with_what_is_wrong() {
        for (line, expected) in [
            ("serve", "unknown subcommand serve: expected run, check"),
            ("run now", "unexpected argument now after run"),
            ("healthcheck a b", "unexpected argument b after healthcheck"),
            ("--port 80", "unknown option --port"),
            ("-p", "unknown option -p"),
            ("--config", "--config needs a file"),
            ("--config=", "--config needs a file"),
            ("--overlay a --overlay b", "--overlay may be given once"),
        ] {
            let result = parsed(line);
            let message = result.as_ref().err().cloned().unwrap_or_default();
            assert!(message.contains(expected), "{line}: {result:?}");
        }
    }

    #[test]
    fn the_help_names_the_program_the_subcommands_and_the_exit_codes() {
        let help = help("quoter");
        assert!(help.starts_with("Usage: quoter "));
        for word in
            ["run", "check", "migrate", "healthcheck", "schema", "openapi", "--config", "--overlay", "78", "143", "130"]
        {
            assert!(help.contains(word), "{word}");
        }
    }
}
