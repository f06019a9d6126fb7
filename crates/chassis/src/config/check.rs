//! Validation of settings: each section by its own module, and combinations of two sections.
//!
//! It does not inspect the machine: a port in use or a host that does not resolve is found when it is used.
//!
//! Next: [`super::show`].

use std::net::SocketAddr;

use super::Settings;
use crate::{
    host, lifecycle, server,
    transports::settings::Settings as Tls,
    values::{
        Check, SettingError, SettingErrors, is_built_in,
        listen::{self, Door, Listen},
    },
};

/// Checks the engine's settings and, below `app`, the app's own.
pub(super) fn all<A: Check>(settings: &Settings<A>) -> SettingErrors {
    let mut errors = SettingErrors::default();
    let sections: [(&str, &dyn Check); 10] = [
        ("server", &settings.server),
        ("tls", &settings.tls),
        ("lifecycle", &settings.lifecycle),
        ("admin", &settings.admin),
        ("agent", &settings.agent),
        ("overload", &settings.overload),
        ("telemetry", &settings.telemetry),
        ("runtime", &settings.runtime),
        ("host", &settings.host),
        ("app", &settings.app),
    ];
    for (name, section) in sections {
        let mut found = SettingErrors::default();
        section.check(&mut found);
        errors.nest(name, found);
    }
    listeners(&settings.server, &settings.tls, &mut errors);
    ports(settings, &mut errors);
    drain(&settings.lifecycle, &settings.server, &mut errors);
    restart(&settings.host, &settings.lifecycle, &mut errors);
    errors
}

fn listeners(server: &server::Settings, tls: &Tls, errors: &mut SettingErrors) {
    if !is_built_in("tls") {
        return;
    }
    let is_plain = |listen: &Listen| listen.door == Door::Http;
    let expected = "expected URLs of server.listen with the scheme http";
    server.listed(&tls.redirect, "tls.redirect", is_plain, expected, errors);
    let speaks = |url: &String| listen::parse(url).is_ok_and(|listen| listen.door == Door::Https);
    for (key, file) in [("tls.certificate_file", &tls.certificate_file), ("tls.key_file", &tls.key_file)] {
        if file.is_none() && server.listen.iter().any(speaks) {
            errors.push(SettingError::between([key, "server.listen"], "is required by an https listener"));
        }
    }
}

/// The admin listener and the agent's have a port each that nobody else has.
fn ports<A>(settings: &Settings<A>, errors: &mut SettingErrors) {
    let port = |listen: &str| listen.parse::<SocketAddr>().map(|address| address.port()).ok().filter(|port| *port != 0);
    let admin = port(&settings.admin.listen);
    let agent = settings.agent.listen.as_deref().and_then(port);
    let of_server = |port: Option<u16>| {
        let taken = |url: &String| listen::parse(url).is_ok_and(|url| url.address.fixed_port() == port);
        port.is_some() && settings.server.listen.iter().any(taken)
    };
    if of_server(admin) {
        let keys = ["admin.listen", "server.listen"];
        errors.push(SettingError::between(keys, "the admin listener must have its own port"));
    }
    if of_server(agent) {
        let keys = ["agent.listen", "server.listen"];
        errors.push(SettingError::between(keys, "the agent check must have its own port"));
    }
    if agent.is_some() && agent == admin {
        let keys = ["agent.listen", "admin.listen"];
        errors.push(SettingError::between(keys, "the agent check must have its own port"));
    }
}

fn drain(lifecycle: &lifecycle::Settings, server: &server::Settings, errors: &mut SettingErrors) {
    if lifecycle.drain_timeout < server.request_timeout {
        let keys = ["lifecycle.drain_timeout", "server.request_timeout"];
        let message = "drain_timeout must be at least request_timeout";
        errors.push(SettingError::between(keys, message));
    }
}

/// A new process goes through the whole start.
fn restart(host: &host::Settings, lifecycle: &lifecycle::Settings, errors: &mut SettingErrors) {
    if host::AVAILABLE && host.upgrade_timeout < lifecycle.start_timeout {
        let keys = ["host.upgrade_timeout", "lifecycle.start_timeout"];
        errors.push(SettingError::between(keys, "upgrade_timeout must be at least lifecycle.start_timeout"));
    }
}
