//! The identity in a client certificate.
//!
//! It does not verify anything: the handshake did that before.
//!
//! Next: [`super::pace`].

/// The certificate of a client, verified against `tls.client_ca_file`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    subject: String,
    der: Vec<u8>,
}

impl ClientCertificate {
    /// A verified certificate: its subject as text, and the whole in DER.
    #[must_use]
    pub fn new(subject: String, der: Vec<u8>) -> Self {
        Self { subject, der }
    }

    /// The subject, in the format of RFC 4514: `CN=billing,O=Example`.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The whole certificate (X.509, DER), for other fields.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}
