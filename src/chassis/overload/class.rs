//! How much a request matters: who goes first when not all can be served.
//!
//! Next: [`super::pool`].

use http::HeaderMap;

/// A request's criticality, as a trusted caller states it in [`Class::HEADER`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Goes first: work that nobody waits for, which a caller can do later.
    Sheddable,
    /// What a request is that says nothing, or nothing that is believed.
    #[default]
    Normal,
    /// Goes last: work that a person or money waits for.
    Critical,
}

impl Class {
    pub(crate) const HEADER: &str = "x-request-criticality";

    /// What the caller stated; `Normal` where that is no class.
    pub(crate) fn stated(headers: &HeaderMap) -> Self {
        match headers.get(Self::HEADER).map(http::HeaderValue::as_bytes) {
            Some(value) if value.eq_ignore_ascii_case(b"critical") => Self::Critical,
            Some(value) if value.eq_ignore_ascii_case(b"sheddable") => Self::Sheddable,
            _ => Self::Normal,
        }
    }
}
