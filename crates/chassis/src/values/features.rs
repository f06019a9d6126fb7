//! Which cargo features this build has, for settings that need one.
//!
//! Next: [`super::listen`].

/// Whether this build has the cargo feature `name`.
pub(crate) fn is_built_in(name: &str) -> bool {
    [
        ("fastcgi", cfg!(feature = "fastcgi")),
        ("host", cfg!(feature = "host")),
        ("proxy-protocol", cfg!(feature = "proxy-protocol")),
        ("tls", cfg!(feature = "tls")),
        ("uwsgi", cfg!(feature = "uwsgi")),
    ]
    .contains(&(name, true))
}
