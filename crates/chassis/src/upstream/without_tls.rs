//! Connections in builds without the feature `tls`: plain HTTP alone.
//!
//! Next: [`super::connect`].

use hyper_util::client::legacy::connect::HttpConnector;

use super::{Settings, UpstreamError};

pub(super) const AVAILABLE: bool = false;

pub(super) type Connector = HttpConnector;

#[expect(clippy::unnecessary_wraps, reason = "what the feature does can fail")]
pub(super) fn connector(http: HttpConnector, _: &Settings) -> Result<Connector, UpstreamError> {
    Ok(http)
}
