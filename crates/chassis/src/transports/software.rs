//! Which web server is the peer.
//!
//! Next: [`super::exchange`].

/// `SERVER_SOFTWARE`, as far as servers handle connections differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Software {
    Nginx,
    Apache,
    Haproxy,
    #[default]
    Other,
}

impl Software {
    /// Each may be followed by a slash and a version.
    pub(super) fn of(value: &[u8]) -> Self {
        match value.split(|byte| b"/ ".contains(byte)).next() {
            Some(b"nginx") => Self::Nginx,
            Some(b"Apache") => Self::Apache,
            Some(b"HAProxy") => Self::Haproxy,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_with_and_without_its_version() {
        for (value, expected) in [
            (&b"nginx/1.22.1"[..], Software::Nginx),
            (b"nginx", Software::Nginx),
            (b"Apache/2.4.71 (Debian)", Software::Apache),
            (b"Apache", Software::Apache),
            (b"HAProxy 2.6.12", Software::Haproxy),
            (b"nginxlike/1", Software::Other),
            (b"", Software::Other),
        ] {
            assert_eq!(Software::of(value), expected, "{}", String::from_utf8_lossy(value));
        }
    }
}
