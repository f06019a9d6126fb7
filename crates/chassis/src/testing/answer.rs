//! What came back.
//!
//! Next: `metrics`.

use std::fmt;

use bytes::Bytes;
use http::HeaderMap;
use serde::de::DeserializeOwned;

/// What came back.
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as text.
    pub body: String,
    bytes: Bytes,
}

impl Answer {
    pub(super) fn new(status: u16, headers: HeaderMap, bytes: Bytes) -> Self {
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Self { status, headers, body, bytes }
    }

    /// The body, as it came.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The first header of this name; none also where it is no text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, read from JSON.
    ///
    /// # Panics
    /// When it is not JSON, or not that of a `T`.
    #[must_use]
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Without the bytes, which are the body again.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, headers, body, bytes: _ } = self;
        f.debug_struct("Answer")
            .field("status", status)
            .field("headers", headers)
            .field("body", body)
            .finish_non_exhaustive()
    }
}
