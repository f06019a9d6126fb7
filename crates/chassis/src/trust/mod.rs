//! Connections to `https` URLs, for calls and for exports: the authorities that are trusted, and who we are.
//!
//! This file holds the `cfg`s of `tls` for clients; a build without the feature has plain HTTP alone.
//!
//! Next: [`tls`].

use std::error::Error as StdError;

#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
mod without_tls;

#[cfg(not(feature = "tls"))]
use without_tls as tls;

pub(crate) use tls::{AVAILABLE, Connector, connector};

/// What a setting says that only the feature has.
pub(crate) const MISSING: &str = "this build lacks that setting: rebuild with --features tls";

/// The PEM files of a client.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nothing reads the files"))]
pub(crate) struct Files<'a> {
    /// The authorities that may have issued the other side's certificate; none: Mozilla's list.
    pub(crate) authorities: Option<&'a str>,
    /// The client's own certificate with its chain, and the key, for a server that asks for one.
    pub(crate) own: Option<(&'a str, &'a str)>,
}

/// A file that cannot be used, by what it is for.
#[derive(Debug)]
#[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nothing reads the files"))]
pub(crate) enum BadFile {
    Authorities(Box<dyn StdError + Send + Sync>),
    Certificate(Box<dyn StdError + Send + Sync>),
    Key(Box<dyn StdError + Send + Sync>),
}
