//! Log lines for people.
//!
//! Next: [`super::timestamp`].

use std::{
    fmt::{self, Write as _},
    io::Write as _,
};

use tracing::Level;

/// Whether a line carries terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// None at all.
    Plain,
    /// ANSI escapes.
    Ansi,
}

/// Appends the level, five wide, in its colour.
pub(super) fn level(out: &mut Vec<u8>, level: Level, colour: Colour) {
    let code = match level {
        Level::ERROR => "31",
        Level::WARN => "33",
        Level::INFO => "32",
        Level::DEBUG => "34",
        Level::TRACE => "35",
    };
    let _ = match colour {
        Colour::Ansi => write!(out, "\x1b[{code}m{:>5}\x1b[0m", level.as_str()),
        Colour::Plain => write!(out, "{:>5}", level.as_str()),
    };
}

/// Appends `text` with its colour turned down.
pub(super) fn dim(out: &mut Vec<u8>, text: &str, colour: Colour) {
    let _ = match colour {
        Colour::Ansi => write!(out, "\x1b[2m{text}\x1b[0m"),
        Colour::Plain => write!(out, "{text}"),
    };
}

/// Appends what `arguments` print, without its control characters: nothing in a value may forge a line.
pub(super) fn display(out: &mut Vec<u8>, arguments: fmt::Arguments<'_>) {
    let _ = Tamed(out).write_fmt(arguments);
}

/// Appends a value, in quotes where it has spaces or is empty.
pub(super) fn value(out: &mut Vec<u8>, arguments: fmt::Arguments<'_>) {
    let start = out.len();
    display(out, arguments);
    if out.len() == start || out[start..].contains(&b' ') {
        out.insert(start, b'"');
        out.push(b'"');
    }
}

struct Tamed<'a>(&'a mut Vec<u8>);

impl fmt::Write for Tamed<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(char::is_control) {
            match part.chars().next_back() {
                Some(last) if last.is_control() => {
                    self.0.extend_from_slice(&part.as_bytes()[..part.len() - last.len_utf8()]);
                    let _ = write!(self.0, "{}", last.escape_default());
                }
                _ => self.0.extend_from_slice(part.as_bytes()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_forge_lines_or_colours() {
        let mut out = Vec::new();
        value(&mut out, format_args!("a\nERROR forged\x1b[31m\u{85}"));
        assert_eq!(String::from_utf8(out).unwrap(), r#""a\nERROR forged\u{1b}[31m\u{85}""#);
    }
}
