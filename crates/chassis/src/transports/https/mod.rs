//! HTTPS: HTTP/1.1 and HTTP/2 inside TLS 1.2 or 1.3, by rustls.
//!
//! After the handshake it is the same connection as over plain HTTP, with its timers, age and drain: only the stream
//! differs in how it detects input. ALPN lets a client choose its protocol; the actual one is detected by its first
//! bytes, as over plain HTTP. It refuses TLS 1.1 and older, early data (which can be replayed), and renegotiation.
//!
//! Next: [`handshake`], then [`crate::connection`].

mod certificates;
mod handshake;
pub(super) mod redirect;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use certificates::Certificates;

use std::{io, net::SocketAddr, sync::Arc};

use http::HeaderValue;
use prometheus::Registry;
use rustls::ServerConnection;
use tokio_rustls::TlsAcceptor;
use x509_cert::{
    Certificate,
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use self::{
    handshake::{Failures, Handshake, Kind},
    stream::{Raw, Secured},
};
use super::settings::Settings;
use crate::{
    connection::{
        Entry, Http, Limits, Protocol, Stream,
        closed::{Closed, Ended},
        drive::drive,
        linger::linger,
        state::Phase,
    },
    middleware::routes::Routes,
    peer::{ClientCertificate, ConnectionInfo},
};

/// Serves routes over HTTPS.
#[derive(Clone, Debug)]
pub(crate) struct Https(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    http: Http<Routes>,
    limits: Arc<Limits>,
    certificates: Certificates,
    failures: Failures,
}

impl Https {
    /// None where no listener speaks https.
    pub(crate) fn new(
        routes: &Routes,
        limits: &Arc<Limits>,
        settings: &Settings,
        certificates: Certificates,
        registry: &Registry,
    ) -> Option<Self> {
        certificates.config()?;
        certificates.register(registry);
        let http = Http::new(strict(routes.clone(), settings), Arc::clone(limits));
        let failures = Failures::new(registry);
        Some(Self(Arc::new(Shared { http, limits: Arc::clone(limits), certificates, failures })))
    }
}

impl Protocol for Https {
    async fn serve<S: Stream>(self, stream: S, peer: SocketAddr, entry: Arc<Entry>) {
        let mut ended = Ended::new(&entry);
        ended.reason = self.0.run(stream, peer, &entry).await;
    }
}

impl Shared {
    async fn run<S: Stream>(&self, stream: S, peer: SocketAddr, entry: &Arc<Entry>) -> Closed {
        // Boxed: the handshake is long over while the connection is open.
        let secured = match Box::pin(self.secure(stream, entry)).await {
            Ok(secured) => secured,
            Err(reason) => return reason,
        };
        let certificate = certificate(secured.session());
        let info = ConnectionInfo::new(peer, "https", certificate, entry, &self.limits);
        self.http.run(secured, info, entry).await
    }

    async fn secure<S: Stream>(&self, stream: S, entry: &Arc<Entry>) -> Result<Secured<S>, Closed> {
        let state = &entry.state;
        let config = self.certificates.config().ok_or(Closed::Error)?;
        let accept = TlsAcceptor::from(config).accept(Raw::new(stream, Arc::clone(entry)));
        let driven = drive(&self.limits, state, &mut Handshake(accept.into_fallible())).await;
        // What it held is free.
        entry.forget_head();
        match driven? {
            Ok(secured) => {
                // From here on, the time to the first byte starts again.
                state.enter(Phase::Silent);
                Ok(Secured::new(secured))
            }
            Err((error, raw)) => {
                self.failures.count(Kind::of(&error));
                tracing::debug!(%error, "a TLS handshake failed");
                if error.kind() == io::ErrorKind::InvalidData {
                    // A plain close would destroy the alert that says why.
                    linger(raw, state).await;
                }
                Err(Closed::Handshake)
            }
        }
    }
}

/// The client's certificate, verified by rustls.
fn certificate(session: &ServerConnection) -> Option<Box<ClientCertificate>> {
    Some(Box::new(described(session.peer_certificates()?.first()?)))
}

/// A certificate that cannot be read has no names; it is verified all the same.
fn described(der: &[u8]) -> ClientCertificate {
    let Ok(certificate) = Certificate::from_der(der) else {
        return ClientCertificate::new(String::new(), der.to_vec());
    };
    let (uris, dns_names) = names(&certificate);
    let subject = certificate.tbs_certificate().subject().to_string();
    ClientCertificate::new(subject, der.to_vec()).with_names(uris, dns_names)
}

/// The URIs and the DNS names of `subjectAltName`; none where it cannot be read.
fn names(certificate: &Certificate) -> (Vec<String>, Vec<String>) {
    let (mut uris, mut dns_names) = (Vec::new(), Vec::new());
    let extension = certificate.tbs_certificate().get_extension::<SubjectAltName>();
    for name in extension.ok().flatten().into_iter().flat_map(|(_, names)| names.0) {
        match name {
            GeneralName::UniformResourceIdentifier(uri) => uris.push(uri.to_string()),
            GeneralName::DnsName(name) => dns_names.push(name.to_string()),
            _ => {}
        }
    }
    (uris, dns_names)
}

/// The routes with `tls.hsts`.
fn strict(routes: Routes, settings: &Settings) -> Routes {
    let age = settings.hsts.as_secs();
    if settings.hsts.is_zero() {
        return routes;
    }
    let below = if settings.hsts_subdomains { "; includeSubDomains" } else { "" };
    let value = HeaderValue::try_from(format!("max-age={age}{below}")).expect("visible letters");
    Routes::Strict(Arc::new((routes, value)))
}
