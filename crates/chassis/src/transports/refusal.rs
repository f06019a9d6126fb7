//! What the client of a web server gets where the variables are no request. Apart from [`super::cgi`], which is fuzzed alone.
//!
//! Next: [`super::software`].

use super::cgi::Bad;
use crate::problem::{Code, Problem};

impl Bad {
    /// For the client.
    pub(crate) fn problem(self) -> Problem {
        Problem::new(Code::MalformedRequest).with_detail(match self {
            Self::Method => "The request method is invalid.",
            Self::Target => "The request target is invalid.",
            Self::Length => "The body length is invalid.",
            Self::TooLong => return Problem::new(Code::BodyTooLarge),
            Self::Host => "The request has conflicting hosts.",
            Self::Value | Self::Headers => "The headers are invalid.",
        })
    }
}
