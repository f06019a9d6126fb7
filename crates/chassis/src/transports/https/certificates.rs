//! The server's certificate and key, and the authorities for client certificates: read at the start, and again when
//! a file changes.
//!
//! Each connection uses the configuration that is current when it opens: a change closes none. Invalid files
//! leave the previous ones in use. Two files are seldom replaced in one step: in between the key does
//! not match the certificate, and the next check finds both.
//!
//! Next: [`super::handshake`].

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use prometheus::{IntGauge, Registry};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{NoClientAuth, WebPkiClientVerifier, danger::ClientCertVerifier},
    version::{TLS12, TLS13},
};
use x509_cert::{Certificate, der::Decode};

use super::super::{
    BadFile, Door,
    settings::{ClientAuth, MinVersion, Settings},
};
use crate::{
    process::Watcher,
    values::{encoding, listen},
};

const CERTIFICATE: &str = "tls.certificate_file";
const KEY: &str = "tls.key_file";
const CLIENT_CA: &str = "tls.client_ca_file";

/// The current configuration; a cheap handle. None without an https listener.
#[derive(Clone, Debug)]
pub(crate) struct Certificates(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    config: ArcSwap<ServerConfig>,
    /// The content of the files in use.
    content: Mutex<Content>,
    expiry: IntGauge,
    watcher: Watcher,
}

impl Certificates {
    /// Reads the files, if one of `listen` is https.
    ///
    /// # Errors
    /// An unreadable or invalid file, by its key.
    pub(crate) fn load(settings: &Settings, listen: &[String]) -> Result<Self, BadFile> {
        let speaks = |url: &String| listen::parse(url).is_ok_and(|listen| listen.door == Door::Https);
        if !listen.iter().any(speaks) {
            return Ok(Self(None));
        }
        // Before the files are read: a change in between is not missed.
        let watcher = Watcher::new(paths(settings));
        let content = Content::read(settings)?;
        let (config, expires) = configure(settings, &content)?;
        let expiry = IntGauge::new(
            "tls_certificate_expiry_timestamp_seconds",
            "Expiry of the current certificate, in seconds since the Unix epoch.",
        )
        .expect("a valid metric");
        expiry.set(expires);
        let (config, content, settings) = (ArcSwap::from_pointee(config), Mutex::new(content), settings.clone());
        Ok(Self(Some(Arc::new(Inner { settings, config, content, expiry, watcher }))))
    }

    /// Reads the files again. Returns whether the configuration changed. Keep it off the I/O runtime.
    ///
    /// # Errors
    /// As [`Certificates::load`]; the previous ones stay in use.
    pub(crate) fn reload(&self) -> Result<bool, BadFile> {
        let Some(inner) = &self.0 else { return Ok(false) };
        let mut in_force = inner.content.lock().unwrap_or_else(PoisonError::into_inner);
        let content = Content::read(&inner.settings)?;
        if content == *in_force {
            return Ok(false);
        }
        let (config, expires) = configure(&inner.settings, &content)?;
        inner.config.store(Arc::new(config));
        inner.expiry.set(expires);
        *in_force = content;
        Ok(true)
    }

    /// Detects changes of the files.
    pub(crate) fn watcher(&self) -> Option<Watcher> {
        self.0.as_ref().map(|inner| inner.watcher.clone())
    }

    /// The configuration for the next connection; none without an https listener.
    pub(super) fn config(&self) -> Option<Arc<ServerConfig>> {
        self.0.as_ref().map(|inner| inner.config.load_full())
    }

    /// Registers `tls_certificate_expiry_timestamp_seconds`.
    pub(super) fn register(&self, registry: &Registry) {
        if let Some(inner) = &self.0 {
            registry.register(Box::new(inner.expiry.clone())).expect("registered once");
        }
    }
}

fn paths(settings: &Settings) -> Vec<PathBuf> {
    let files = [&settings.certificate_file, &settings.key_file, &settings.client_ca_file];
    files.into_iter().flatten().map(PathBuf::from).collect()
}

/// The content of the files. Its `Debug` shows nothing: one of them is a private key.
#[derive(PartialEq)]
pub(super) struct Content {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) client_ca: Option<Vec<u8>>,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Content {
    fn read(settings: &Settings) -> Result<Self, BadFile> {
        let client_ca = match (settings.client_auth, &settings.client_ca_file) {
            (ClientAuth::Off, _) | (_, None) => None,
            (_, file) => Some(read(CLIENT_CA, file.as_deref())?),
        };
        let certificate = read(CERTIFICATE, settings.certificate_file.as_deref())?;
        let key = read(KEY, settings.key_file.as_deref())?;
        Ok(Self { certificate, key, client_ca })
    }
}

/// 1 MiB: what Kubernetes allows a whole Secret.
const LARGEST: u64 = 1024 * 1024;

fn read(key: &'static str, path: Option<&str>) -> Result<Vec<u8>, BadFile> {
    let path = Path::new(path.unwrap_or_default());
    let told = |error: std::io::Error| BadFile::new(key, format!("the file cannot be read: {}", error.kind()));
    let metadata = fs::metadata(path).map_err(told)?;
    // Reading a pipe or a device could block forever.
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err(BadFile::new(key, "expected a regular file of at most 1MiB"));
    }
    fs::read(path).map_err(told)
}

/// The rules of the next handshakes, and when the certificate expires.
pub(super) fn configure(settings: &Settings, content: &Content) -> Result<(ServerConfig, i64), BadFile> {
    let chain = certificates(CERTIFICATE, &content.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(encoding::unmarked(&content.key))
        .map_err(|_| BadFile::new(KEY, "expected a private key in PEM, without a passphrase"))?;
    let expires = expires(&chain[0])?;
    let provider = Arc::new(provider());
    let clients = clients(settings, content, &provider)?;
    let versions: &[_] = match settings.min_version {
        MinVersion::Tls12 => &[&TLS13, &TLS12],
        MinVersion::Tls13 => &[&TLS13],
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("the provider has ciphers for both versions")
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => BadFile::new(KEY, format!("the key does not match {CERTIFICATE}")),
            rustls::Error::General(_) => BadFile::new(KEY, "expected a private key: RSA, ECDSA or Ed25519"),
            error => BadFile::new(CERTIFICATE, error.to_string()),
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Sessions are resumed statelessly by tickets, whose keys change every six hours and never leave the process.
    config.ticketer = ring::Ticketer::new().map_err(|error| BadFile::new(KEY, error.to_string()))?;
    Ok((config, expires))
}

/// ring, with the two fast curves: with P-384, a client would cost the server a multiple of its own effort.
fn provider() -> CryptoProvider {
    CryptoProvider { kx_groups: vec![ring::kx_group::X25519, ring::kx_group::SECP256R1], ..ring::default_provider() }
}

fn certificates(key: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, BadFile> {
    let none = || BadFile::new(key, "expected certificates in PEM");
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(encoding::unmarked(pem)).collect::<Result<_, _>>().map_err(|_| none())?;
    if chain.is_empty() { Err(none()) } else { Ok(chain) }
}

fn expires(certificate: &CertificateDer<'_>) -> Result<i64, BadFile> {
    let certificate = Certificate::from_der(certificate)
        .map_err(|error| BadFile::new(CERTIFICATE, format!("the first certificate cannot be read: {error}")))?;
    let end = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    Ok(i64::try_from(end.as_secs()).unwrap_or(i64::MAX))
}

fn clients(
    settings: &Settings,
    content: &Content,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, BadFile> {
    let Some(pem) = &content.client_ca else { return Ok(Arc::new(NoClientAuth)) };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(CLIENT_CA, pem)? {
        roots.add(certificate).map_err(|error| BadFile::new(CLIENT_CA, error.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = match settings.client_auth {
        ClientAuth::Optional => builder.allow_unauthenticated(),
        _ => builder,
    };
    let verifier = builder.build().map_err(|error| BadFile::new(CLIENT_CA, error.to_string()))?;
    Ok(verifier)
}
