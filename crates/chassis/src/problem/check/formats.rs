//! The formats that `schemars` can demand of a text: `email`, `url`, `ip`, `ipv4`, `ipv6`.
//!
//! Others, such as `date-time` and `uuid`, come with the type that reads them, and say only what it is.
//!
//! Next: [`super::parameters`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    Email,
    Uri,
    Ip,
    Ipv4,
    Ipv6,
}

impl Format {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "email" => Self::Email,
            "uri" => Self::Uri,
            "ip" => Self::Ip,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            _ => return None,
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Email => "an email address",
            Self::Uri => "an absolute URI",
            Self::Ip => "an IP address",
            Self::Ipv4 => "an IPv4 address",
            Self::Ipv6 => "an IPv6 address",
        }
    }

    pub(super) fn fits(self, text: &str) -> bool {
        match self {
            Self::Email => is_email(text),
            Self::Uri => is_uri(text),
            Self::Ip => text.parse::<IpAddr>().is_ok(),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
        }
    }
}

/// An address as HTML's `<input type=email>` takes it, which leaves out the comments and quotes of RFC 5322.
fn is_email(text: &str) -> bool {
    let local = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    let label = |label: &str| {
        // 63: RFC 1035, section 2.3.4.
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && name.bytes().all(local) && host.split('.').all(label))
}

/// RFC 3986, section 3: a scheme, and behind it characters of a URI only.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let named = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    let whole = !rest.starts_with("//") || text.split('#').next().is_some_and(|text| text.parse::<Uri>().is_ok());
    named && !rest.is_empty() && rest.bytes().all(allowed) && whole
}
