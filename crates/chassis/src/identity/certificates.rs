//! Client certificates: the mesh's, which a proxy forwards, or those of our own TLS.
//!
//! Which of them, and from whom, is [`ConnectionInfo::certificate`]'s to say.
//!
//! Next: [`crate::peer`].

use std::{collections::HashSet, sync::Arc};

use http::request::Parts;

use super::{
    Caller, Guard,
    guard::{Proof, Prove},
    refusal::Refusal,
};
use crate::{
    openapi::Scheme,
    peer::{ClientCertificate, ConnectionInfo},
};

/// The workloads that may call, by a name in their certificates.
#[derive(Clone, Debug)]
pub struct ClientCertificates {
    name: &'static str,
    /// None: any.
    allowed: Option<Arc<HashSet<String>>>,
}

impl ClientCertificates {
    /// Certificates with one of these URIs or DNS names, compared as they are: `spiffe://cluster.local/ns/shop/sa/web`. `name`
    /// is the scheme's name in the description.
    #[must_use]
    pub fn of(name: &'static str, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { name, allowed: Some(Arc::new(names.into_iter().map(Into::into).collect())) }
    }

    /// Any certificate that the handshake, or the trusted proxy, has verified.
    #[must_use]
    pub fn any(name: &'static str) -> Self {
        Self { name, allowed: None }
    }

    /// Admits requests of these workloads; others get 403, as no challenge asks for a certificate.
    pub fn guard(&self) -> Guard {
        Guard::new(self.name, Scheme::MutualTls, &[], Arc::new(self.clone()))
    }

    fn judge(&self, head: &Parts) -> Result<Caller, Refusal> {
        let connection = head.extensions.get::<ConnectionInfo>().ok_or(Refusal::Missing)?;
        let certificate = connection.certificate(&head.headers);
        let certificate = certificate.map_err(|_| Refusal::Malformed("x-forwarded-client-cert cannot be read"))?;
        let certificate = certificate.ok_or(Refusal::Missing)?;
        let name = self.named(&certificate).ok_or(Refusal::Forbidden("not one of the workloads".into()))?;
        Ok(Caller::new(name))
    }

    /// The name that is allowed.
    fn named<'a>(&self, certificate: &'a ClientCertificate) -> Option<&'a str> {
        let Some(allowed) = &self.allowed else {
            return Some(certificate.name()).filter(|name| !name.is_empty());
        };
        let mut names = certificate.uris().iter().chain(certificate.dns_names());
        names.find(|name| allowed.contains(*name)).map(String::as_str)
    }
}

impl Prove for ClientCertificates {
    fn prove<'a>(&'a self, head: &'a Parts) -> Proof<'a> {
        Box::pin(std::future::ready(self.judge(head)))
    }
}
