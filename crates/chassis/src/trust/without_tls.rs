//! Connections of clients in builds without the feature `tls`: plain HTTP alone.
//!
//! Next: [`crate::values`].

use hyper_util::client::legacy::connect::HttpConnector;

use super::{BadFile, Files};

pub(crate) const AVAILABLE: bool = false;

pub(crate) type Connector = HttpConnector;

#[expect(clippy::unnecessary_wraps, reason = "what the feature does can fail")]
pub(crate) fn connector(http: HttpConnector, _: Files<'_>) -> Result<Connector, BadFile> {
    Ok(http)
}
