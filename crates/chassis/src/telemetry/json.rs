//! JSON, written by hand into a byte buffer: no tree, no allocation.
//!
//! Next: [`super::sink`].

use std::{
    fmt::{self, Write as _},
    io::Write as _,
};

use super::text::is_deceptive;

/// Appends `text` as a JSON string, with its quotes.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape(out, text);
    out.push(b'"');
}

/// Appends a text that needs no escape, with quotes.
pub(super) fn plain(out: &mut Vec<u8>, text: &str) {
    debug_assert!(all_plain(text.as_bytes()), "{text}");
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Appends what `arguments` print as a JSON string.
pub(super) fn display(out: &mut Vec<u8>, arguments: fmt::Arguments<'_>) {
    out.push(b'"');
    // A failing `Display` leaves its partial output.
    let _ = Escaped(out).write_fmt(arguments);
    out.push(b'"');
}

/// Appends a number; what JSON has no number for (NaN, infinity) becomes a string.
pub(super) fn float(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        // `Debug` has an exponent where `Display` would print 300 digits; both are JSON.
        let _ = write!(out, "{number:?}");
    } else {
        display(out, format_args!("{number}"));
    }
}

/// Appends `,"name":`; a value follows.
pub(super) fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    escape(out, name);
    out.extend_from_slice(b"\":");
}

/// DEL is legal in JSON but bad for terminals. Non-ASCII text is checked character by character.
const fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\' && byte < 0x7f
}

/// Whether no byte needs an escape. Without an early end, so that the compiler takes 16 at once.
fn all_plain(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |all, &byte| all & is_plain(byte))
}

fn escape(out: &mut Vec<u8>, text: &str) {
    if all_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let mut clean = 0;
    for (at, letter) in text.char_indices() {
        if !matches!(letter, '"' | '\\') && !is_deceptive(letter) {
            continue;
        }
        out.extend_from_slice(&text.as_bytes()[clean..at]);
        clean = at + letter.len_utf8();
        match letter {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            _ => _ = write!(out, "\\u{:04x}", u32::from(letter)),
        }
    }
    out.extend_from_slice(&text.as_bytes()[clean..]);
}

struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_survives() {
        let all: String = (0..0x2100).filter_map(char::from_u32).collect();
        for text in ["", "plain", "\"\\\n\r\t\0\u{1b}[31m\u{7f}", "ünï 🚢 \u{2028}", &all] {
            let mut out = Vec::new();
            string(&mut out, text);
            assert!(!std::str::from_utf8(&out).unwrap().chars().any(is_deceptive), "{text:?}");
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            let mut printed = Vec::new();
            display(&mut printed, format_args!("{text}"));
            assert_eq!(printed, out);
        }
    }

    #[test]
    fn numbers_are_numbers_and_the_others_are_strings() {
        for number in [0.0, -0.0, 1.5, 1e300, 1e-300, f64::MAX, f64::MIN_POSITIVE] {
            let mut out = Vec::new();
            float(&mut out, number);
            assert_eq!(serde_json::from_slice::<f64>(&out).unwrap().to_bits(), number.to_bits());
        }
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut out = Vec::new();
            float(&mut out, number);
            assert!(serde_json::from_slice::<String>(&out).is_ok());
        }
    }
}
