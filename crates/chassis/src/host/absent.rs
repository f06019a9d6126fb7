//! Stub for builds without the feature: sockets are bound when needed, and there is no restart by SIGUSR2.
//!
//! Next: [`super::super::listener`].

use std::{convert::Infallible, future::pending, io, path::Path, sync::Arc};

use prometheus::Registry;

use super::Settings;
use crate::{
    admin::Heartbeat,
    listener::{Access, Bound, Tcp, Unix, authority, bind, unix},
    process::{Environment, HeldSignals, StartError},
};

/// This process is never the supervisor of a restart.
pub(crate) fn fork_supervisor(_: &Environment, held: HeldSignals) -> HeldSignals {
    held
}

/// Does nothing.
pub(crate) struct Host;

/// SIGUSR2 is not handled.
pub(crate) struct Asked;

impl Asked {
    #[expect(clippy::unnecessary_wraps, reason = "hearing a signal can fail")]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    /// That of a replica among others in its process.
    pub(crate) fn never() -> Self {
        Self
    }
}

#[expect(clippy::unused_self, clippy::unused_async, reason = "what the feature does takes them")]
impl Host {
    #[expect(clippy::unnecessary_wraps, reason = "the feature can fail")]
    pub(crate) fn prepare(_: &Settings, _: &[String], _: &Environment) -> Result<Self, StartError> {
        Ok(Self)
    }

    /// That of a replica among others in its process.
    pub(crate) fn shared(_: &[String]) -> Self {
        Self
    }

    #[expect(clippy::unnecessary_wraps, reason = "the feature can fail")]
    pub(crate) fn announce(&self, _: &Registry, _: &Heartbeat) -> Result<(), prometheus::Error> {
        Ok(())
    }

    /// Binds `url`. Call it inside a runtime.
    pub(crate) fn bind(&self, url: &str, backlog: u32) -> io::Result<Tcp> {
        Tcp::listen(bind(authority(url))?, Some(backlog), Arc::default())
    }

    /// Binds `url`, a Unix socket where it has a `path`. Call it inside a runtime.
    pub(crate) fn open(
        &self,
        url: &str,
        path: Option<&Path>,
        access: &Access<'_>,
        backlog: u32,
    ) -> io::Result<(Bound, String)> {
        match path {
            Some(path) => {
                let socket = unix::bind(path, access, backlog)?;
                Ok(Bound::unix(Unix::listen(socket, Some(path), Arc::default())?, path))
            }
            None => Bound::tcp(self.bind(url, backlog)?),
        }
    }

    /// Whether there is an old process.
    pub(crate) fn succeeds(&self) -> bool {
        false
    }

    pub(crate) async fn turn(&self, _: impl Fn() -> bool) {}

    pub(crate) async fn started(&self) {}

    pub(crate) async fn handed_over(&self, _: &mut Asked) {
        pending::<()>().await;
    }

    pub(crate) async fn refuse_upgrades(&self, _: &mut Asked) -> Infallible {
        pending().await
    }

    pub(crate) fn reloading(&self) {}

    pub(crate) fn reloaded(&self) {}

    pub(crate) fn stopping(&self) {}
}
