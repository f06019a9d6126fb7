//! How a connection opens, within its time: the TCP connection, and the handshake of TLS where there is one.
//!
//! Next: [`super::pool`].

use std::{
    error::Error as StdError,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::time;
use tower_service::Service;

use super::{Settings, UpstreamError};
use crate::trust::{self, BadFile, Files};

/// A connector with a time limit: `HttpConnector`'s own ends before the handshake.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    inner: trust::Connector,
    timeout: Duration,
}

type Error = Box<dyn StdError + Send + Sync>;

impl Connector {
    /// # Errors
    /// [`UpstreamError::CaFile`], [`UpstreamError::ClientCertificate`].
    pub(super) fn new(settings: &Settings) -> Result<Self, UpstreamError> {
        let timeout = settings.connect_timeout.get();
        let mut http = HttpConnector::new();
        // It divides the time among the addresses of a name.
        http.set_connect_timeout(Some(timeout));
        http.set_nodelay(true);
        let files = Files {
            authorities: settings.ca_file.as_deref(),
            own: settings.client_certificate_file.as_deref().zip(settings.client_key_file.as_deref()),
        };
        let inner = trust::connector(http, files).map_err(|bad| match bad {
            BadFile::Authorities(error) => UpstreamError::CaFile(error),
            BadFile::Certificate(error) | BadFile::Key(error) => UpstreamError::ClientCertificate(error),
        })?;
        Ok(Self { inner, timeout })
    }
}

impl Service<Uri> for Connector {
    type Response = <trust::Connector as Service<Uri>>::Response;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = time::timeout(self.timeout, self.inner.call(uri));
        Box::pin(async {
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection within connect_timeout");
            let stream = connecting.await.map_err(late)??;
            Ok(stream)
        })
    }
}
