//! A line, piece by piece, in either format.
//!
//! Next: [`super::json`] and [`super::text`].

use std::{error::Error, fmt, io::Write as _, net::IpAddr, time::Duration};

use tracing::{
    Level,
    field::{Field, Visit},
};

use super::{
    digits, json,
    text::{self, Colour},
    timestamp,
};

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Text(Colour),
}

/// 8: tells the requests on a terminal apart, and a search for the beginning of a whole id finds the line.
const SHORT: usize = 8;

/// One field's value.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a str),
    /// Static or validated text: it needs no escape.
    Plain(&'a str),
    Printed(fmt::Arguments<'a>),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Bool(bool),
    /// 32 hexadecimal digits; in text the first [`SHORT`].
    Id(u128),
    /// Seconds, to a microsecond.
    Seconds(Duration),
    Address(IpAddr),
}

/// A field's name of ours, with what JSON writes for it: put together when it is compiled.
#[derive(Clone, Copy)]
pub(super) struct Name {
    pub(super) plain: &'static str,
    /// `,"name":`
    pub(super) json: &'static str,
}

macro_rules! name {
    ($plain:literal) => {
        Name { plain: $plain, json: concat!(",\"", $plain, "\":") }
    };
}
pub(super) use name;

/// Opens a line of JSON with its time and level; the string of its target follows. One text for each level, as each
/// request writes one.
#[inline]
pub(super) fn json_head(out: &mut Vec<u8>, level: Level) {
    out.extend_from_slice(b"{\"timestamp\":\"");
    timestamp::now(out);
    out.extend_from_slice(match level {
        Level::ERROR => br#"","level":"ERROR","target":"#,
        Level::WARN => br#"","level":"WARN","target":"#,
        Level::INFO => br#"","level":"INFO","target":"#,
        Level::DEBUG => br#"","level":"DEBUG","target":"#,
        Level::TRACE => br#"","level":"TRACE","target":"#,
    });
}

impl Format {
    /// Opens a line with its time, level and target.
    pub(super) fn head(self, out: &mut Vec<u8>, level: Level, target: &str) {
        match self {
            Self::Json => {
                json_head(out, level);
                json::string(out, target);
            }
            Self::Text(colour) => {
                timestamp::now(out);
                out.push(b' ');
                text::level(out, level, colour);
                out.push(b' ');
                text::dim(out, target, colour);
                text::dim(out, ":", colour);
            }
        }
    }

    /// Appends a field whose name is ours.
    pub(super) fn field(self, out: &mut Vec<u8>, name: Name, value: Value<'_>) {
        match self {
            Self::Json => out.extend_from_slice(name.json.as_bytes()),
            Self::Text(_) => self.key(out, name.plain),
        }
        self.value(out, value);
    }

    /// Appends a field's name; its value follows.
    pub(super) fn key(self, out: &mut Vec<u8>, name: &str) {
        match self {
            Self::Json => json::key(out, name),
            Self::Text(colour) => {
                out.push(b' ');
                text::dim(out, name, colour);
                text::dim(out, "=", colour);
            }
        }
    }

    /// Appends a field's value.
    pub(super) fn value(self, out: &mut Vec<u8>, value: Value<'_>) {
        self.value_of_known_kind(out, value);
    }

    /// The same for one whose kind the caller knows: inlined, nothing is left of the choice between them.
    #[expect(clippy::inline_always, reason = "a call for each field of an access line costs a third of the line")]
    #[inline(always)]
    fn value_of_known_kind(self, out: &mut Vec<u8>, value: Value<'_>) {
        match (self, value) {
            (Self::Json, Value::Text(text)) => json::string(out, text),
            (Self::Json, Value::Plain(text)) => json::plain(out, text),
            (Self::Json, Value::Printed(arguments)) => json::display(out, arguments),
            (Self::Json, Value::Float(number)) => json::float(out, number),
            (Self::Text(_), Value::Text(text) | Value::Plain(text)) => text::value(out, format_args!("{text}")),
            (Self::Text(_), Value::Printed(arguments)) => text::value(out, arguments),
            (Self::Text(_), Value::Float(number)) => _ = write!(out, "{number}"),
            (_, Value::Signed(number)) => _ = write!(out, "{number}"),
            (_, Value::Unsigned(number)) => digits::unsigned(out, number),
            (_, Value::Bool(flag)) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
            (Self::Text(_), Value::Id(number)) => {
                let end = out.len() + SHORT;
                digits::hexadecimal(out, number);
                out.truncate(end);
            }
            (Self::Json, Value::Id(number)) => {
                out.push(b'"');
                digits::hexadecimal(out, number);
                out.push(b'"');
            }
            (Self::Json, Value::Address(IpAddr::V4(address))) => {
                out.push(b'"');
                digits::dotted(out, address);
                out.push(b'"');
            }
            (_, Value::Address(address)) => self.value(out, Value::Printed(format_args!("{address}"))),
            (_, Value::Seconds(duration)) => digits::seconds(out, duration),
        }
    }

    /// A request's id as a line shows it: visible ASCII.
    pub(super) fn id(self, id: &str) -> &str {
        match self {
            Self::Json => id,
            Self::Text(_) => id.get(..SHORT).unwrap_or(id),
        }
    }

    /// Appends the message's own text; in JSON with its quotes.
    pub(super) fn message(self, out: &mut Vec<u8>, message: fmt::Arguments<'_>) {
        match self {
            Self::Json => json::display(out, message),
            Self::Text(_) => text::message(out, message),
        }
    }

    /// Ends a line.
    pub(super) fn tail(self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self == Self::Json { b"}\n" } else { b"\n" });
    }
}

/// Takes the fields of a line.
pub(super) trait Put {
    fn put(&mut self, name: Name, value: Value<'_>);
}

impl<F: FnMut(Name, Value<'_>)> Put for F {
    fn put(&mut self, name: Name, value: Value<'_>) {
        self(name, value);
    }
}

/// Appends fields as JSON.
pub(super) struct JsonFields<'a>(pub(super) &'a mut Vec<u8>);

impl Put for JsonFields<'_> {
    #[expect(clippy::inline_always, reason = "names and kinds are constants where they are put")]
    #[inline(always)]
    fn put(&mut self, name: Name, value: Value<'_>) {
        self.0.extend_from_slice(name.json.as_bytes());
        Format::Json.value_of_known_kind(self.0, value);
    }
}

/// Hands each field to `put`, in its own type.
pub(super) struct Fields<F>(pub(super) F);

impl<F: FnMut(&'static str, Value<'_>)> Visit for Fields<F> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        (self.0)(field.name(), Value::Float(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        (self.0)(field.name(), Value::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        (self.0)(field.name(), Value::Unsigned(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        (self.0)(field.name(), Value::Bool(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        (self.0)(field.name(), Value::Text(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        (self.0)(field.name(), Value::Printed(format_args!("{}", Chain(value))));
    }

    // Wide integers come here too: as text, since most JSON readers cannot hold them.
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        (self.0)(field.name(), Value::Printed(format_args!("{value:?}")));
    }
}

/// An error and its causes, in one line.
pub(super) struct Chain<'a>(pub(super) &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
