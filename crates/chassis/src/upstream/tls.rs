//! Connections to `https` upstreams: the authorities that are trusted, and HTTP/2 where the other side offers it.
//!
//! Mozilla's list is in the program, as an image from scratch has none. A file of `ca_file` takes its place: it is for
//! services whose certificates a private authority issues.
//!
//! Next: [`super::connect`].

use std::{fs, sync::Arc};

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::{Settings, UpstreamError};
use crate::values::encoding;

pub(super) const AVAILABLE: bool = true;

pub(super) type Connector = HttpsConnector<HttpConnector>;

/// Adds TLS to `http`, for URLs that ask for it.
pub(super) fn connector(mut http: HttpConnector, settings: &Settings) -> Result<Connector, UpstreamError> {
    http.enforce_http(false);
    let builder = HttpsConnectorBuilder::new().with_tls_config(config(settings.ca_file.as_deref())?);
    Ok(builder.https_or_http().enable_http1().enable_http2().wrap_connector(http))
}

fn config(ca_file: Option<&str>) -> Result<ClientConfig, UpstreamError> {
    let roots = ca_file.map_or_else(|| Ok(mozilla()), read)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("ring has the versions of TLS");
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn mozilla() -> RootCertStore {
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()
}

fn read(path: &str) -> Result<RootCertStore, UpstreamError> {
    let pem = fs::read(path).map_err(|error| UpstreamError::CaFile(error.into()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(encoding::unmarked(&pem)) {
        let certificate = certificate.map_err(|error| UpstreamError::CaFile(error.into()))?;
        roots.add(certificate).map_err(|error| UpstreamError::CaFile(error.into()))?;
    }
    if roots.is_empty() { Err(UpstreamError::CaFile("it has no certificate".into())) } else { Ok(roots) }
}
