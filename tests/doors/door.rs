//! What a door is: who stands in front of the app, and what is spoken between them.

/// A way from a client to the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Door {
    pub(crate) name: &'static str,
    pub(crate) front: Front,
    pub(crate) protocol: Protocol,
    pub(crate) carrier: Carrier,
    /// The front keeps its connections to the app.
    pub(crate) keep: bool,
    pub(crate) around: Around,
}

/// What a front puts around a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Around {
    Nothing,
    Tls,
    /// The PROXY protocol, version 1.
    Line,
    /// Version 2, and TLS behind it.
    BinaryTls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    /// Nothing: the client speaks to the app.
    None,
    Nginx,
    Apache,
    Haproxy,
    Lighttpd,
    Uwsgi,
    /// uWSGI again, with the app inside it.
    #[allow(dead_code, reason = "the tests of crates/uwsgi-plugin use it")]
    Host,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    Fastcgi,
    Uwsgi,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Tcp,
    Unix,
}
