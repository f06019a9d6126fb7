//! The part of `server.*` for requests; [`crate::server::Settings`] has its keys and their meaning.
//!
//! Next: [`super::protect`].

use crate::{
    peer::{MAX_HEAD, MAX_HEADERS, MIN_RATE},
    values::{Check, Duration, SettingError, SettingErrors, Size},
};

/// 1,000: hyper takes 64 bytes for each of them whenever a head is read.
const MOST_HEADERS: usize = 1_000;

/// Bounds of requests, by the names of their keys below `server`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) request_timeout: Duration,
    pub(crate) body_timeout: Duration,
    pub(crate) min_rate: Size,
    pub(crate) max_body: Size,
    pub(crate) max_uploads: usize,
    pub(crate) max_upload_bytes: Size,
    pub(crate) max_head: Size,
    pub(crate) max_headers: usize,
    pub(crate) max_uri: Size,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            min_rate: MIN_RATE,
            max_body: Size::mib(2),
            // 1,024: half of the in-flight limit; each uses a connection or a stream, and their bytes are limited.
            max_uploads: 1024,
            // 16 MiB: eight of the largest bodies, and a quarter of the smallest container's memory.
            max_upload_bytes: Size::mib(16),
            max_head: MAX_HEAD,
            max_headers: MAX_HEADERS,
            max_uri: Size::kib(8),
        }
    }
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        for (key, timeout) in [("request_timeout", self.request_timeout), ("body_timeout", self.body_timeout)] {
            errors.require(timeout > Duration::default(), key, "expected a duration above zero");
        }
        errors.require(!self.max_body.is_empty(), "max_body", "expected a size above zero");
        errors.require(self.max_uploads > 0, "max_uploads", "expected a number above zero");
        errors.require(!self.max_upload_bytes.is_empty(), "max_upload_bytes", "expected a size above zero");
        errors.require(self.max_head >= Size::kib(1), "max_head", "expected a size of at least 1KiB");
        errors.require(
            (1..=MOST_HEADERS).contains(&self.max_headers),
            "max_headers",
            "expected a number from 1 to 1000",
        );
        errors.require(!self.max_uri.is_empty(), "max_uri", "expected a size above zero");
        if self.max_uri > self.max_head {
            let message = "the request target is part of the head: max_uri must not exceed max_head";
            errors.push(SettingError::between(["max_uri", "max_head"], message));
        }
    }
}
