//! The program around a service: its subcommands, and its exit code.
//!
//! Next: [`mod@migrate`], and then [`crate::replica`], which `run` starts.

mod migrate;

use std::{
    fmt,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use crate::{
    admin::healthcheck,
    config::{self, AppSettings, Loaded, Sources, cli},
    openapi,
    process::{Environment, Exit, HeldSignals, Invocation},
    replica::{self, Chassis},
    router::Router,
    telemetry::Identity,
    values::SettingErrors,
};

/// Which service this is, as cargo and the build's environment say; [`crate::service!`] makes it.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// The package's name.
    pub name: &'static str,
    /// The package's version.
    pub version: &'static str,
    /// `SERVICE_COMMIT` of the build.
    pub commit: Option<&'static str>,
    /// `TEMPLATE_COMMIT` of the build.
    pub template_commit: Option<&'static str>,
}

/// The [`program::Service`](crate::program::Service) of the calling package.
#[macro_export]
macro_rules! service {
    () => {
        $crate::program::Service {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            commit: option_env!("SERVICE_COMMIT"),
            template_commit: option_env!("TEMPLATE_COMMIT"),
        }
    };
}

impl Service {
    /// The identity of this replica.
    #[must_use]
    pub fn identity(&self, environment: &Environment) -> Identity {
        let or_unknown = |commit: Option<&str>| commit.unwrap_or("unknown").to_owned();
        Identity {
            service: self.name.into(),
            version: self.version.into(),
            commit: or_unknown(self.commit),
            template_commit: or_unknown(self.template_commit),
            replica: environment.replica(),
            zone: environment.zone(),
        }
    }

    /// The API's description, as this version of the service serves it with default settings. `app` runs, and nothing
    /// that it registers: no step of [`Chassis::before_ready`].
    ///
    /// # Errors
    /// When the app cannot make its routes, or does not describe them.
    pub fn openapi<S, F, E>(&self, app: F) -> Result<serde_json::Value, String>
    where
        S: AppSettings,
        F: AsyncFnOnce(&S, &Chassis) -> Result<Router, E>,
        E: fmt::Display,
    {
        let chassis = Chassis::detached(self.identity(&Environment::default()));
        openapi::of(async || app(&S::default(), &chassis).await.map(Router::into_axum))
    }
}

/// A whole `main`: the command line, and without a subcommand the replica, until a signal has drained it.
///
/// `app` makes the routes, and may await what it needs for that. It runs on a thread of its own inside the I/O runtime,
/// while `/startupz` says 503; its error ends the start with code 1. What has to answer before the replica is ready
/// belongs into [`Chassis::before_ready`], so that `server openapi` needs no live dependency.
///
/// Call it first: signals are blocked from here on, so that an early one is not lost.
pub fn main<S, F, E>(service: Service, app: F) -> ExitCode
where
    S: AppSettings,
    F: AsyncFnOnce(&S, &Chassis) -> Result<Router, E> + Send + 'static,
    E: fmt::Display,
{
    let held = HeldSignals::hold();
    let command = match cli::parse(Invocation::capture().arguments) {
        Ok(command) => command,
        Err(error) => return refuse(&error),
    };
    if let cli::Command::Run(options) = command {
        let sources = Sources::new(options, Environment::capture());
        let identity = service.identity(&sources.environment);
        return replica::run(held, sources, identity, app).into();
    }
    // The other subcommands end on a signal like any tool.
    held.release();
    answer(command, service, app)
}

fn answer<S, F, E>(command: cli::Command, service: Service, app: F) -> ExitCode
where
    S: AppSettings,
    F: AsyncFnOnce(&S, &Chassis) -> Result<Router, E>,
    E: fmt::Display,
{
    match command {
        cli::Command::Run(_) => unreachable!("it has run"),
        cli::Command::Check(options) => with_settings::<S>(options, |loaded| {
            loaded.remarks.iter().for_each(|remark| eprintln!("warning: {remark}"));
            show(&config::render(&loaded.settings))
        }),
        cli::Command::Migrate(options) => {
            migrate::migrate(&Sources::new(options, Environment::capture()), service, app)
        }
        cli::Command::Healthcheck { options, url } => with_settings::<S>(options, |loaded| {
            match healthcheck::ask(url.as_deref(), &loaded.settings.admin.listen) {
                Ok(answer) => show(&answer),
                Err(error) => fail(&error),
            }
        }),
        cli::Command::Schema => show(&pretty(&config::schema::<S>())),
        cli::Command::Openapi => match service.openapi(app) {
            Ok(document) => show(&pretty(&document)),
            Err(error) => fail(&error),
        },
        cli::Command::Help => show(&cli::help(&program_name())),
        cli::Command::Version => show(service.version),
    }
}

fn with_settings<S: AppSettings>(options: cli::Options, f: impl FnOnce(&Loaded<S>) -> ExitCode) -> ExitCode {
    match config::load(&Sources::new(options, Environment::capture())) {
        Ok(loaded) => f(&loaded),
        Err(errors) => refuse(&lines(&errors)),
    }
}

fn lines(errors: &SettingErrors) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The name it was called by, without directories.
fn program_name() -> String {
    Path::new(&Invocation::capture().program)
        .file_name()
        .map_or_else(|| "server".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn refuse(error: &str) -> ExitCode {
    eprintln!("{error}");
    Exit::BadSettings.into()
}

fn fail(error: &str) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
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
