//! The priority of a request: which requests are shed first under overload.
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
    /// Admitted before, and ready to continue with its body: never displaced, and waits up to its deadline.
    Returning,
    /// Shed last: user-facing or revenue-critical work.
    Critical,
}

impl Class {
    pub(crate) const HEADER: &str = "x-request-criticality";
    pub(super) const COUNT: usize = 4;
    /// From the class that is served first to the one that is shed first.
    pub(super) const DESCENDING: [Self; Self::COUNT] = [Self::Critical, Self::Returning, Self::Normal, Self::Sheddable];

    /// The class in the header; `Normal` if it is missing or unknown.
    pub(crate) fn stated(headers: &HeaderMap) -> Self {
        match headers.get(Self::HEADER).map(http::HeaderValue::as_bytes) {
            Some(value) if value.eq_ignore_ascii_case(b"critical") => Self::Critical,
            Some(value) if value.eq_ignore_ascii_case(b"sheddable") => Self::Sheddable,
            _ => Self::Normal,
        }
    }
}
