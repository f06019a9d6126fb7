//! Why connections end.
//!
//! Next: [`super::registry`].

use super::registry::Entry;

/// Why a connection ended; the `reason` of `http_server_connections_closed_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Closed {
    /// Closed by the peer, or at its request.
    Peer,
    /// Past its age.
    Age,
    /// Past its number of requests.
    Requests,
    /// The replica drains.
    Drain,
    /// Idle for too long.
    IdleTimeout,
    /// No complete head in time.
    HeaderTimeout,
    /// A reader that made no progress.
    WriteTimeout,
    /// Idle or stalled, and closed to make room.
    Yielded,
    /// Still open at the drain's deadline.
    Cut,
    /// Not HTTP, or an error of HTTP/2 that ends the connection.
    Malformed,
    /// Closed by a fault rule.
    Aborted,
    /// The socket failed.
    Error,
    /// An untrusted peer on a protocol for trusted peers only.
    Untrusted,
    /// The TLS handshake failed.
    Handshake,
    /// Too many HTTP/2 control frames, or of what h2 bounds itself.
    Flood,
    /// A stalled reader at the limit of response memory, or an incomplete head at the limit of theirs.
    Memory,
}

impl Closed {
    pub(crate) const ALL: [Self; 16] = [
        Self::Peer,
        Self::Age,
        Self::Requests,
        Self::Drain,
        Self::IdleTimeout,
        Self::HeaderTimeout,
        Self::WriteTimeout,
        Self::Yielded,
        Self::Cut,
        Self::Malformed,
        Self::Aborted,
        Self::Error,
        Self::Untrusted,
        Self::Handshake,
        Self::Flood,
        Self::Memory,
    ];

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Age => "age",
            Self::Requests => "requests",
            Self::Drain => "drain",
            Self::IdleTimeout => "idle_timeout",
            Self::HeaderTimeout => "header_timeout",
            Self::WriteTimeout => "write_timeout",
            Self::Yielded => "yielded",
            Self::Cut => "cut",
            Self::Malformed => "malformed",
            Self::Aborted => "aborted",
            Self::Error => "error",
            Self::Untrusted => "untrusted",
            Self::Handshake => "handshake",
            Self::Flood => "flood",
            Self::Memory => "memory",
        }
    }
}

/// Counts the end of a connection, also when its task panics.
pub(crate) struct Ended<'a> {
    entry: &'a Entry,
    pub(crate) reason: Closed,
}

impl<'a> Ended<'a> {
    pub(crate) fn new(entry: &'a Entry) -> Self {
        Self { entry, reason: Closed::Error }
    }
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.entry.connections().count_closed(self.reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_keep_their_order() {
        for (at, reason) in Closed::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, at, "{}", reason.label());
        }
    }
}
