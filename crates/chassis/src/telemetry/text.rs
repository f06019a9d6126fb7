//! Log lines as human-readable text.
//!
//! Next: [`super::timestamp`].

use std::{
    fmt::{self, Write as _},
    io::Write as _,
};

use tracing::Level;

/// Whether a line carries terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
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

/// Appends a message, in quotes if it could be read as fields.
pub(super) fn message(out: &mut Vec<u8>, arguments: fmt::Arguments<'_>) {
    let start = out.len();
    display(out, arguments);
    if out[start..].iter().any(|byte| b"=\"".contains(byte)) {
        quote(out, start);
    }
}

/// Appends a value, in quotes if it is empty or could be read as several.
pub(super) fn value(out: &mut Vec<u8>, arguments: fmt::Arguments<'_>) {
    let start = out.len();
    display(out, arguments);
    if out.len() == start || out[start..].iter().any(|byte| b" =\"\\".contains(byte)) {
        quote(out, start);
    }
}

/// Appends the formatted `arguments`, without characters that could forge a line or hide a part of it.
fn display(out: &mut Vec<u8>, arguments: fmt::Arguments<'_>) {
    let _ = Tamed(out).write_fmt(arguments);
}

/// Quotes the text from `start` on. Backslashes are already escaped; quotes are escaped here.
fn quote(out: &mut Vec<u8>, start: usize) {
    let text = out.split_off(start);
    out.push(b'"');
    for byte in text {
        if byte == b'"' {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

struct Tamed<'a>(&'a mut Vec<u8>);

impl fmt::Write for Tamed<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_escaped = |letter: char| letter == '\\' || is_deceptive(letter);
        for part in text.split_inclusive(is_escaped) {
            match part.chars().next_back() {
                Some(last) if is_escaped(last) => {
                    self.0.extend_from_slice(&part.as_bytes()[..part.len() - last.len_utf8()]);
                    let _ = write!(self.0, "{}", last.escape_default());
                }
                _ => self.0.extend_from_slice(part.as_bytes()),
            }
        }
        Ok(())
    }
}

/// Control characters (C0, DEL, C1), bidirectional marks, and separators of lines and paragraphs: with them a
/// terminal or an editor shows another text than the one that is there.
pub(super) const fn is_deceptive(letter: char) -> bool {
    matches!(
        letter,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
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

    #[test]
    fn values_cannot_forge_fields() {
        for (text, expected) in [
            ("plain", "plain"),
            ("", "\"\""),
            ("a=b", r#""a=b""#),
            (r#"x"status=200"#, r#""x\"status=200""#),
            (r#"x" status="200"#, r#""x\" status=\"200""#),
            (r"ends\", r#""ends\\""#),
            (r#"\" status=200"#, r#""\\\" status=200""#),
            ("a\u{202e}b\u{2066}\u{200f}\u{2028}", r#""a\u{202e}b\u{2066}\u{200f}\u{2028}""#),
        ] {
            let mut out = Vec::new();
            value(&mut out, format_args!("{text}"));
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{text}");
        }
        for (text, expected) in [("two\nlines", r"two\nlines"), ("ok status=200", r#""ok status=200""#)] {
            let mut out = Vec::new();
            message(&mut out, format_args!("{text}"));
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{text}");
        }
    }
}
