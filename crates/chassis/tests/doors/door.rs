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

impl Door {
    /// uWSGI's router and Apache's `mod_proxy_uwsgi` forward a body in chunks without its length.
    pub(crate) fn can_send_chunks(self) -> bool {
        self.protocol != Protocol::Uwsgi || matches!(self.front, Front::Nginx | Front::Host)
    }

    /// `mod_proxy_uwsgi` answers 500 to a path with `%2F`.
    pub(crate) fn can_send_slashes(self) -> bool {
        (self.front, self.protocol) != (Front::Apache, Protocol::Uwsgi)
    }

    /// Over uwsgi the end of an answer without a length is that of its connection: a Unix socket cannot be reset, and
    /// uWSGI's router hands a reset on as a plain close, as Apache does now and then on a busy machine (seen: 1 of 8).
    pub(crate) fn hides_a_failure(self) -> bool {
        let hides = matches!(self.front, Front::Apache | Front::Uwsgi);
        self.protocol == Protocol::Uwsgi && (self.carrier == Carrier::Unix || hides)
    }

    /// `HAProxy` 2.6 with kept connections holds back an answer that comes before the body is read, once in some thousands
    /// on a busy machine (seen: 3 of 15,000; none of 33,000 with 3.2).
    pub(crate) fn holds_back_early_answers(self) -> bool {
        (self.front, self.protocol, self.keep) == (Front::Haproxy, Protocol::Fastcgi, true)
    }

    /// Apache and lighttpd look after their client only when they write to it, and so does `HAProxy` with kept connections.
    pub(crate) fn is_blind(self) -> bool {
        matches!(self.front, Front::Apache | Front::Lighttpd)
            || (self.front, self.protocol, self.keep) == (Front::Haproxy, Protocol::Fastcgi, true)
    }
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
