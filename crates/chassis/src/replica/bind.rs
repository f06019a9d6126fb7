//! Binds what a replica listens on.
//!
//! Next: [`super::life`].

use std::{io, sync::Arc};

use tokio::runtime::Handle;

use super::StartError;
use crate::{
    admin::agent,
    config::{AppSettings, Live},
    host::Host,
    listener::{Access, Bound, Tcp},
    server,
    transports::Purpose,
    values::{Source, listen},
};

/// Binds every URL of `server.listen`, inside `io`.
pub(super) fn bind<A: AppSettings>(
    live: &Arc<Live<A>>,
    host: &Host,
    io: &Handle,
) -> Result<Vec<(Bound, Purpose)>, StartError> {
    let _inside = io.enter();
    let all = live.get();
    let settings = &all.server;
    let source = live.loaded().source("server.listen");
    let access = Access { mode: &settings.unix_mode, owner: settings.unix_owner.as_deref() };
    let bind = |url: &String| {
        let refused = |_| io::Error::new(io::ErrorKind::InvalidInput, "not a listen URL");
        let bound = listen::parse(url).map_err(refused).and_then(|listen| {
            let (bound, at) = host.open(url, listen.address.path(), &access, settings.backlog)?;
            Ok((bound, at, listen.door))
        });
        let (bound, at, door) = bound.map_err(|error| cannot_bind("app", url, &source, &error))?;
        tracing::info!(target: "listener", listener = "app", url = %format_args!("{}{at}", door.scheme()), "listening");
        let (proxied, redirects) = (settings.proxy_protocol.contains(url), all.tls.redirect.contains(url));
        Ok((bound, Purpose { door, proxied, redirects }))
    };
    settings.listen.iter().map(bind).collect()
}

/// Binds the listener of HAProxy's agent check, inside the present runtime.
pub(super) fn bind_agent<A: AppSettings>(live: &Live<A>, host: &Host, listen: &str) -> Result<Tcp, StartError> {
    let bound = host.bind(&agent::url(listen), server::Settings::default().backlog);
    let bound = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (address, listener) =
        bound.map_err(|error| cannot_bind("agent", listen, &live.loaded().source("agent.listen"), &error))?;
    tracing::info!(target: "listener", listener = "agent", url = %format_args!("agent://{address}"), "listening");
    Ok(listener)
}

pub(super) fn cannot_bind(listener: &str, address: &str, source: &Source, error: &io::Error) -> StartError {
    let section = if listener == "app" { "server" } else { listener };
    StartError::new(format!("binding the {listener} listener on {address} ({section}.listen from {source})"), error)
}
