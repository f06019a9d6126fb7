//! TLS of clients: the authorities that are trusted, the client's certificate, and HTTP/2 where the other side offers it.
//!
//! Mozilla's list is in the program, as an image from scratch has none. A file of authorities takes its place: it is for
//! services whose certificates a private authority issues, or for the list of the system.
//!
//! Next: [`crate::values`].

use std::{error::Error as StdError, fs, sync::Arc};

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::{BadFile, Files};
use crate::values::encoding;

pub(crate) const AVAILABLE: bool = true;

pub(crate) type Connector = HttpsConnector<HttpConnector>;

type Error = Box<dyn StdError + Send + Sync>;

/// Adds TLS to `http`, for URLs that ask for it; the files are read here.
pub(crate) fn connector(mut http: HttpConnector, files: Files<'_>) -> Result<Connector, BadFile> {
    http.enforce_http(false);
    let builder = HttpsConnectorBuilder::new().with_tls_config(config(files)?);
    Ok(builder.https_or_http().enable_http1().enable_http2().wrap_connector(http))
}

fn config(files: Files<'_>) -> Result<ClientConfig, BadFile> {
    let roots =
        files.authorities.map_or_else(|| Ok(mozilla()), |path| authorities(path).map_err(BadFile::Authorities))?;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("ring has the versions of TLS");
    let builder = builder.with_root_certificates(roots);
    let Some((certificate, key)) = files.own else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates(certificate).map_err(BadFile::Certificate)?;
    let key = key_of(key).map_err(BadFile::Key)?;
    builder.with_client_auth_cert(chain, key).map_err(|error| BadFile::Key(error.into()))
}

fn mozilla() -> RootCertStore {
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()
}

/// A system's bundle may have roots in a form that rustls does not read: they are left out, and the others hold.
fn authorities(path: &str) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates(path)?);
    if added == 0 { Err("it has no certificate that can be read".into()) } else { Ok(roots) }
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates =
        CertificateDer::pem_slice_iter(encoding::unmarked(&fs::read(path)?)).collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() { Err("it has no certificate".into()) } else { Ok(certificates) }
}

fn key_of(path: &str) -> Result<PrivateKeyDer<'static>, Error> {
    // Its own error may repeat a part of the file.
    PrivateKeyDer::from_pem_slice(encoding::unmarked(&fs::read(path)?))
        .map_err(|_| "expected a private key: RSA, ECDSA or Ed25519".into())
}
