//! The handshake of a connection, under the timers of a silent connection.
//!
//! `server.header_timeout` limits it from the first byte to the last, regardless of progress. Until it is done the
//! connection counts as silent: it makes room when a new one needs it. Failures are counted by kind, and the
//! peer gets an alert.
//!
//! Next: [`super::stream`].

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use prometheus::{IntCounterVec, Opts, Registry};
use rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible};
use tokio_rustls::server::{FallibleAccept, TlsStream};

use super::stream::Raw;
use crate::connection::{Stream, drive::Work};

/// A handshake in progress.
pub(super) struct Handshake<S>(pub(super) FallibleAccept<Raw<S>>);

impl<S: Stream> Work for Handshake<S> {
    /// The stream is returned if the handshake failed.
    type Output = Result<TlsStream<Raw<S>>, (io::Error, Raw<S>)>;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }

    fn finish(&mut self) -> bool {
        false
    }
}

/// Why a handshake failed; the `kind` of `tls_handshake_failures_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No common TLS version.
    Version,
    /// The client offers neither h2 nor http/1.1.
    Alpn,
    /// Missing or invalid client certificate.
    ClientCertificate,
    /// Not TLS.
    NotTls,
    /// The client rejected the handshake, usually the server's certificate.
    Refused,
    /// The client disconnected during the handshake.
    Left,
    Other,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Version, Self::Alpn, Self::ClientCertificate, Self::NotTls, Self::Refused, Self::Left, Self::Other];

    pub(super) fn of(error: &io::Error) -> Self {
        let Some(tls) = error.get_ref().and_then(|error| error.downcast_ref::<Error>()) else { return Self::Left };
        match tls {
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                // The extension came with TLS 1.2: a client without it uses an older version.
                | PeerIncompatible::SignatureAlgorithmsExtensionRequired
                | PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled,
            )
            | Error::AlertReceived(AlertDescription::ProtocolVersion) => Self::Version,
            Error::NoApplicationProtocol => Self::Alpn,
            Error::NoCertificatesPresented | Error::InvalidCertificate(_) => Self::ClientCertificate,
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge,
            ) => Self::NotTls,
            Error::AlertReceived(_) => Self::Refused,
            _ => Self::Other,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Alpn => "alpn",
            Self::ClientCertificate => "client_certificate",
            Self::NotTls => "not_tls",
            Self::Refused => "refused",
            Self::Left => "left",
            Self::Other => "other",
        }
    }
}

/// `tls_handshake_failures_total`.
#[derive(Clone, Debug)]
pub(super) struct Failures(IntCounterVec);

impl Failures {
    pub(super) fn new(registry: &Registry) -> Self {
        let opts = Opts::new("tls_handshake_failures_total", "Failed TLS handshakes, by kind.");
        let failures = IntCounterVec::new(opts, &["kind"]).expect("a valid metric");
        for kind in Kind::ALL {
            failures.with_label_values(&[kind.label()]);
        }
        registry.register(Box::new(failures.clone())).expect("registered once");
        Self(failures)
    }

    pub(super) fn count(&self, kind: Kind) {
        self.0.with_label_values(&[kind.label()]).inc();
    }
}
