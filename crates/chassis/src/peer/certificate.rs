//! Who a client proved to be, by a certificate.
//!
//! It refuses to verify anything: the handshake did, before one of these is made.
//!
//! Next: [`super::pace`].

/// The certificate of a client, verified against `tls.client_ca_file`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    subject: String,
    der: Vec<u8>,
}

impl ClientCertificate {
    /// One that was verified: its subject as text, and the whole.
    #[must_use]
    pub fn new(subject: String, der: Vec<u8>) -> Self {
        Self { subject, der }
    }

    /// Whom it names, as RFC 4514 writes it: `CN=billing,O=Example`.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The whole certificate (X.509, DER), for what the subject does not tell.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}
