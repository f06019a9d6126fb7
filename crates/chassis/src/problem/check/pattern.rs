//! A pattern of JSON Schema, without look-around and references.
//!
//! `regex-lite` has ASCII's `\d` and `\w`, as JavaScript, takes linear time, and is small; but a match costs some 2,000
//! instructions. Most patterns are a number of characters of one class, such as `^[A-Z]{2}$`: those are a loop.
//!
//! Next: [`super::rules`].

use std::fmt;

use regex_lite::Regex;

/// As written, and what finds it.
#[derive(Debug)]
pub(super) struct Pattern(String, Matcher);

#[derive(Debug)]
enum Matcher {
    /// `least` to `most` characters, each of them in the set, from the start to the end.
    Class {
        set: Ascii,
        least: usize,
        most: usize,
    },
    Regex(Regex),
}

/// A set of ASCII characters, one bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ascii(u128);

impl Ascii {
    fn of(ranges: &[(u8, u8)]) -> Self {
        Self(ranges.iter().flat_map(|(first, last)| *first..=*last).fold(0, |set, byte| set | 1 << byte))
    }

    const fn has(self, byte: u8) -> bool {
        byte.is_ascii() && self.0 >> byte & 1 == 1
    }
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Result<Self, regex_lite::Error> {
        let matcher = class(pattern).map_or_else(|| Regex::new(pattern).map(Matcher::Regex), Ok)?;
        Ok(Self(pattern.to_owned(), matcher))
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        match &self.1 {
            Matcher::Class { set, least, most } => {
                (*least..=*most).contains(&text.len()) && text.bytes().all(|byte| set.has(byte))
            }
            Matcher::Regex(regex) => regex.is_match(text),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `^`, one class, a number of times, `$`.
fn class(pattern: &str) -> Option<Matcher> {
    let inner = pattern.strip_prefix('^')?.strip_suffix('$')?;
    let (set, times) = if let Some(rest) = inner.strip_prefix('[') {
        let (members, times) = rest.split_once(']')?;
        (members_of(members)?, times)
    } else {
        (shorthand(inner.get(..2)?)?, inner.get(2..)?)
    };
    let (least, most) = times_of(times)?;
    Some(Matcher::Class { set, least, most })
}

fn shorthand(class: &str) -> Option<Ascii> {
    match class {
        r"\d" => Some(Ascii::of(&[(b'0', b'9')])),
        r"\w" => Some(Ascii::of(&[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z'), (b'_', b'_')])),
        _ => None,
    }
}

/// Letters, digits and ranges of them, `_`, and `-` at the end; all else may mean something, and is left to the regex.
fn members_of(members: &str) -> Option<Ascii> {
    let (mut rest, mut ranges) = (members.as_bytes(), Vec::new());
    loop {
        rest = match rest {
            [] => return (!ranges.is_empty()).then(|| Ascii::of(&ranges)),
            [b'-'] => {
                ranges.push((b'-', b'-'));
                &[]
            }
            [first, b'-', last, rest @ ..] if is_plain(*first) && is_plain(*last) && first <= last => {
                ranges.push((*first, *last));
                rest
            }
            [one, rest @ ..] if is_plain(*one) => {
                ranges.push((*one, *one));
                rest
            }
            _ => return None,
        };
    }
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Nothing, `+`, `*`, `?`, `{2}`, `{2,}` or `{2,4}`.
fn times_of(times: &str) -> Option<(usize, usize)> {
    match times {
        "" => Some((1, 1)),
        "+" => Some((1, usize::MAX)),
        "*" => Some((0, usize::MAX)),
        "?" => Some((0, 1)),
        _ => {
            let within = times.strip_prefix('{')?.strip_suffix('}')?;
            let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
            let (least, most) = match within.split_once(',') {
                None => (number(within)?, number(within)?),
                Some((least, "")) => (number(least)?, usize::MAX),
                Some((least, most)) => (number(least)?, number(most)?),
            };
            (least <= most).then_some((least, most))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_matches_as_the_regex_does() {
        let patterns =
            ["^[A-Z]{2}$", "^[a-z0-9_-]+$", r"^\d{3}$", r"^\w*$", "^[0-9a-f]{2,4}$", "^[a-c]?$", "^[ab]{2,}$", "^[x]$"];
        let texts = [
            "", "a", "A", "ab", "AB", "ABC", "Ab", "a-b_1", "12", "123", "1234", "12345", "äb", "x", "a b", "a\n", "é",
            "__",
        ];
        for pattern in patterns {
            let class = Pattern::new(pattern).expect("a pattern");
            assert!(matches!(class.1, Matcher::Class { .. }), "{pattern} is no class");
            let regex = Regex::new(pattern).expect("a pattern");
            for text in texts {
                assert_eq!(class.is_match(text), regex.is_match(text), "{pattern} on {text:?}");
            }
        }
    }

    #[test]
    fn what_is_more_than_one_class_is_a_regex() {
        for pattern in
            ["^[A-Z]{2}[0-9]$", "[A-Z]{2}", "^[^a]$", r"^[\d]$", "^a|b$", "^[a-z]{2}|c$", "^.$", r"^\D$", "^aa$"]
        {
            let pattern = Pattern::new(pattern).expect("a pattern");
            assert!(matches!(pattern.1, Matcher::Regex(_)), "{pattern:?}");
        }
    }
}
