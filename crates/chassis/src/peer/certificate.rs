//! The identity in a client certificate.
//!
//! It does not verify anything: the handshake did that before, here or in the proxy that forwards what it saw.
//!
//! Next: [`mod@super::xfcc`].

use axum::extract::FromRequestParts;
use http::{StatusCode, request::Parts};

use super::ConnectionInfo;

/// The certificate of a client: verified against `tls.client_ca_file`, or by a trusted proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    subject: String,
    der: Vec<u8>,
    uris: Vec<String>,
    dns_names: Vec<String>,
}

impl ClientCertificate {
    /// A verified certificate: its subject as text, and the whole in DER.
    #[must_use]
    pub fn new(subject: String, der: Vec<u8>) -> Self {
        Self { subject, der, ..Self::default() }
    }

    /// With its names: the URIs and the DNS names of `subjectAltName` (RFC 5280, section 4.2.1.6).
    #[must_use]
    pub fn with_names(self, uris: Vec<String>, dns_names: Vec<String>) -> Self {
        Self { uris, dns_names, ..self }
    }

    /// The subject, in the format of RFC 4514: `CN=billing,O=Example`. It is empty where a mesh writes none.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The whole certificate (X.509, DER), for other fields; empty where a proxy forwards its names only.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The URIs among its names. A SPIFFE ID is one: `spiffe://cluster.local/ns/shop/sa/web`.
    #[must_use]
    pub fn uris(&self) -> &[String] {
        &self.uris
    }

    /// The DNS names among its names.
    #[must_use]
    pub fn dns_names(&self) -> &[String] {
        &self.dns_names
    }

    /// Its most specific name: the first URI, else the first DNS name, else the subject.
    #[must_use]
    pub fn name(&self) -> &str {
        self.uris.first().or(self.dns_names.first()).unwrap_or(&self.subject)
    }
}

/// Of the client, see [`ConnectionInfo::certificate`].
impl<S: Sync> FromRequestParts<S> for ClientCertificate {
    type Rejection = StatusCode;

    /// 403 without a certificate, 400 where the forwarded one cannot be read, 500 where there is no connection, as in a test
    /// of the routes alone.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let connection = parts.extensions.get::<ConnectionInfo>().ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
        let certificate = connection.certificate(&parts.headers).map_err(|_| StatusCode::BAD_REQUEST)?;
        certificate.ok_or(StatusCode::FORBIDDEN)
    }
}
