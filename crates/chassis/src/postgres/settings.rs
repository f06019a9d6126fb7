//! Settings of a database; an app embeds them, as `app.database`.
//!
//! Next: [`super::gate`].

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::{
    trust,
    values::{Duration, MOST, Secret, SettingError, SettingErrors},
};

const EXPECTED: &str = "expected a URL such as postgres://user:password@host/database";

/// What sqlx reads of a URL's query; of anything else it only writes a line to the log.
const PARAMETERS: [&str; 17] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// Settings of a database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where Postgres is: `postgres://user:password@host/database`. With the cargo feature `tls`, `?sslmode=verify-full` encrypts and verifies; what the URL does not say comes from the standard variables, such as `PGPASSWORD`.
    pub url: Secret,
    /// Connections of this replica at most. Those of all replicas together have to stay below the server's `max_connections`.
    pub max_connections: u32,
    /// How long a request waits for a connection; then it is answered with 503.
    pub acquire_timeout: Duration,
    /// How long a statement may take where no deadline of a request is nearer.
    pub statement_timeout: Duration,
    /// Age past which a connection is replaced when it is given back: after a move of the database, or of a balancer before it, all connections are new within this time.
    pub max_connection_age: Duration,
    /// Whether a replica migrates at its start, for development. In a cluster, run `migrate` before the rollout: a replica then refuses to start on a schema that is too old.
    pub migrate_at_start: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "postgres://localhost".into(),
            // 16: six replicas fit into Postgres's own default of 100.
            max_connections: 16,
            // 2 s: a request that waits longer for a connection is better tried again elsewhere.
            acquire_timeout: Duration::from_secs(2),
            // 30 s: as `server.request_timeout`.
            statement_timeout: Duration::from_secs(30),
            // 30 min: a connection costs Postgres a process, so seldom.
            max_connection_age: Duration::from_secs(1800),
            migrate_at_start: false,
        }
    }
}

impl Settings {
    /// Validates beyond the types; `key` is the path of these settings, such as `database`.
    pub fn check(&self, key: &str, errors: &mut SettingErrors) {
        let durations = [
            ("acquire_timeout", self.acquire_timeout),
            ("statement_timeout", self.statement_timeout),
            ("max_connection_age", self.max_connection_age),
        ];
        for (name, _) in durations.into_iter().filter(|(_, duration)| duration.is_zero()) {
            errors.push(SettingError::new(format!("{key}.{name}"), "must be above zero"));
        }
        if !(1..=MOST).contains(&usize::try_from(self.max_connections).unwrap_or(MOST + 1)) {
            errors.push(SettingError::new(format!("{key}.max_connections"), format!("must be between 1 and {MOST}")));
        }
        if let Err(error) = self.options() {
            errors.push(SettingError::new(format!("{key}.url"), error));
        }
    }

    /// How to connect. The error does not repeat the URL, which may hold a password.
    pub(super) fn options(&self) -> Result<PgConnectOptions, String> {
        let url = self.url.expose();
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(EXPECTED.into());
        }
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let is_known = |name: &str| {
            PARAMETERS.contains(&name) || name == "statement-cache-capacity" || name.starts_with("options[")
        };
        if !form_urlencoded::parse(query.as_bytes()).all(|(name, _)| is_known(&name)) {
            return Err(format!("has a parameter that is unknown; known are {}", PARAMETERS.join(", ")));
        }
        let options = PgConnectOptions::from_str(url).map_err(|_| EXPECTED.to_owned())?;
        let needs_tls = !matches!(options.get_ssl_mode(), PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer);
        if needs_tls && !trust::AVAILABLE {
            return Err(format!("sslmode: {}", trust::MISSING));
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(settings: &Settings) -> Vec<String> {
        let mut errors = SettingErrors::default();
        settings.check("database", &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(errors(&Settings::default()), [""; 0]);
    }

    #[test]
    fn each_wrong_value_is_named_and_no_url_is_repeated() {
        let with_url = |url: &str| Settings { url: url.into(), ..Settings::default() };
        for (settings, key) in [
            (Settings { max_connections: 0, ..Settings::default() }, "database.max_connections"),
            (Settings { acquire_timeout: Duration::from_secs(0), ..Settings::default() }, "database.acquire_timeout"),
            (
                Settings { statement_timeout: Duration::from_secs(0), ..Settings::default() },
                "database.statement_timeout",
            ),
            (
                Settings { max_connection_age: Duration::from_secs(0), ..Settings::default() },
                "database.max_connection_age",
            ),
            (with_url("mysql://secret@host/a"), "database.url"),
            (with_url("postgres://secret@host:port/a"), "database.url"),
            (with_url("postgres://host/a?password=secret&pool=2"), "database.url"),
            (with_url("postgres://host/a?sslmode=secret"), "database.url"),
        ] {
            let errors = errors(&settings);
            assert_eq!(errors.len(), 1, "{key}: {errors:?}");
            assert!(errors[0].contains(key) && !errors[0].contains("secret"), "{key}: {errors:?}");
        }
    }

    #[test]
    fn encryption_needs_the_feature() {
        let settings = Settings { url: "postgres://host/a?sslmode=verify-full".into(), ..Settings::default() };
        assert_eq!(settings.options().is_ok(), cfg!(feature = "tls"), "{:?}", settings.options());
    }
}
