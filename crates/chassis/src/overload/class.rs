//! How much a request matters: who goes first when not all can be served.
//!
//! Next: [`super::limiter`].

use http::HeaderMap;

/// A request's criticality, as a trusted caller states it in [`Class::HEADER`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Shed first: work the caller can retry later.
    Sheddable,
    /// The default: no header, an unknown value, or an untrusted peer.
    #[default]
    Normal,
    /// Admitted before, and back with bytes of its body: it is never displaced, and waits as long as its deadline lets it.
    Returning,
    /// Shed last: work that a person or money waits for.
    Critical,
}

impl Class {
    pub(crate) const HEADER: &str = "x-request-criticality";
    pub(super) const COUNT: usize = 4;
    /// From the one that is served first to the one that is shed first.
    pub(super) const DESCENDING: [Self; Self::COUNT] = [Self::Critical, Self::Returning, Self::Normal, Self::Sheddable];

    /// What the caller stated; `Normal` where that is no class.
    pub(crate) fn stated(headers: &HeaderMap) -> Self {
        match headers.get(Self::HEADER).map(http::HeaderValue::as_bytes) {
            Some(value) if value.eq_ignore_ascii_case(b"critical") => Self::Critical,
            Some(value) if value.eq_ignore_ascii_case(b"sheddable") => Self::Sheddable,
            _ => Self::Normal,
        }
    }
}
