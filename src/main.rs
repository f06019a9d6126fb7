//! The program: a subcommand, and its exit code.

use std::{
    env,
    io::{self, Write},
    process::ExitCode,
};

use service::{
    Settings,
    chassis::{
        admin::healthcheck,
        config::{self, Environment, Problems, Sources, cli},
        replica::{Exit, HeldSignals},
    },
};

fn main() -> ExitCode {
    let held = HeldSignals::hold();
    let command = match cli::parse(env::args_os().skip(1)) {
        Ok(command) => command,
        Err(error) => return refuse(&error),
    };
    if let cli::Command::Run(options) = command {
        return service::run(held, Sources::new(options, Environment::capture())).into();
    }
    // What only asks or prints ends by a signal, as any tool.
    held.release();
    answer(command)
}

fn answer(command: cli::Command) -> ExitCode {
    match command {
        cli::Command::Run(_) => unreachable!("it has run"),
        cli::Command::Check(options) => with_settings(options, |settings| show(&config::render(settings))),
        cli::Command::Healthcheck { options, url } => {
            with_settings(options, |settings| match healthcheck::ask(url.as_deref(), &settings.admin.listen) {
                Ok(answer) => show(&answer),
                Err(error) => {
                    eprintln!("{error}");
                    ExitCode::FAILURE
                }
            })
        }
        cli::Command::Schema => show(&pretty(&config::schema::<service::app::Settings>())),
        cli::Command::Openapi => match service::openapi() {
            Ok(document) => show(&pretty(&document)),
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
        cli::Command::Help => show(&cli::help(env!("CARGO_BIN_NAME"))),
        cli::Command::Version => show(env!("CARGO_PKG_VERSION")),
    }
}

fn with_settings(options: cli::Options, f: impl FnOnce(&Settings) -> ExitCode) -> ExitCode {
    match config::load(&Sources::new(options, Environment::capture())) {
        Ok(loaded) => f(&loaded.settings),
        Err(problems) => refuse(&lines(&problems)),
    }
}

fn lines(problems: &Problems) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn refuse(error: &str) -> ExitCode {
    eprintln!("{error}");
    Exit::BadSettings.into()
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).expect("a JSON value is JSON")
}

/// Prints `text`; a reader that left early (`| head`) is no failure.
fn show(text: &str) -> ExitCode {
    match writeln!(io::stdout(), "{}", text.trim_end()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}
