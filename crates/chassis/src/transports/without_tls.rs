//! Stub for builds without the feature: there are no certificates.
//!
//! Next: [`super::settings`].

use super::{BadFile, settings::Settings};
use crate::process::Watcher;

/// Holds nothing.
#[derive(Clone, Debug)]
pub(crate) struct Certificates;

#[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "what the feature does takes them, and can fail")]
impl Certificates {
    pub(crate) fn load(_: &Settings, _: &[String]) -> Result<Self, BadFile> {
        Ok(Self)
    }

    pub(crate) fn reload(&self) -> Result<bool, BadFile> {
        Ok(false)
    }

    pub(crate) fn watcher(&self) -> Option<Watcher> {
        None
    }
}
