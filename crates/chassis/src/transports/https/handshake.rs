//! The handshake of a connection, under the timers that a silent connection has.
//!
//! `server.header_timeout` bounds it from the first byte to the last, whatever comes meanwhile. Until it is done the
//! connection counts as silent: it gives up its place when a new one needs it. What failed is counted by kind, and the
//! peer is told by an alert.
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

/// A handshake that is on its way.
pub(super) struct Handshake<S>(pub(super) FallibleAccept<Raw<S>>);

impl<S: Stream> Work for Handshake<S> {
    /// The stream comes back where the handshake failed.
    type Output = Result<TlsStream<Raw<S>>, (io::Error, Raw<S>)>;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }

    fn finish(&mut self) -> bool {
        false
    }
}

/// What a handshake failed of; the `kind` of `tls_handshake_failures_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The client knows no version of TLS that is spoken here.
    Version,
    /// It speaks neither h2 nor http/1.1.
    Alpn,
    /// It showed no certificate, or a bad one.
    ClientCertificate,
    /// It does not speak TLS.
    NotTls,
    /// It refused: mostly our certificate.
    Refused,
    /// It left in the middle.
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
                // The extension came with TLS 1.2: who has none speaks an older one.
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
        let opts = Opts::new("tls_handshake_failures_total", "TLS handshakes that failed, by kind.");
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
