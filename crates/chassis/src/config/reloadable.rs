//! Which keys a running replica takes on.
//!
//! Next: [`super::metrics`].

use super::Settings;

/// Keys that take effect without a restart; one that ends with a dot stands for its whole section.
const RELOADABLE: [&str; 18] = [
    "server.header_timeout",
    "server.idle_timeout",
    "server.request_timeout",
    "server.body_timeout",
    "server.write_timeout",
    "server.min_rate",
    "server.max_body",
    "server.max_uploads",
    "server.max_upload_bytes",
    "server.max_connection_age",
    "server.max_upgrade_age",
    "server.upgrade_idle_timeout",
    "server.max_requests_per_connection",
    "overload.",
    "telemetry.log_filter",
    "telemetry.access_log",
    "telemetry.sample_ratio",
    "faults.",
];

/// Whether `key` takes effect without a restart.
#[must_use]
pub fn is_reloadable(key: &str) -> bool {
    RELOADABLE.iter().any(|name| *name == key || (name.ends_with('.') && key.starts_with(name)))
}

/// `running`, with the reloadable part of `new`.
pub(super) fn combine<A: Clone>(running: &Settings<A>, new: &Settings<A>) -> Settings<A> {
    let mut settings = running.clone();
    let (server, from) = (&mut settings.server, &new.server);
    server.header_timeout = from.header_timeout;
    server.idle_timeout = from.idle_timeout;
    server.request_timeout = from.request_timeout;
    server.body_timeout = from.body_timeout;
    server.write_timeout = from.write_timeout;
    server.min_rate = from.min_rate;
    server.max_body = from.max_body;
    server.max_uploads = from.max_uploads;
    server.max_upload_bytes = from.max_upload_bytes;
    server.max_connection_age = from.max_connection_age;
    server.max_upgrade_age = from.max_upgrade_age;
    server.upgrade_idle_timeout = from.upgrade_idle_timeout;
    server.max_requests_per_connection = from.max_requests_per_connection;
    settings.overload = new.overload.clone();
    settings.telemetry.log_filter.clone_from(&new.telemetry.log_filter);
    settings.telemetry.access_log = new.telemetry.access_log;
    settings.telemetry.sample_ratio = new.telemetry.sample_ratio;
    settings.faults = new.faults.clone();
    settings
}
