//! Truncation of texts that clients choose, for log lines, spans and records.
//!
//! Next: [`super::access`].

use std::borrow::Cow;

/// 1,024 bytes: longer than any legitimate path.
pub(super) const PATH: usize = 1024;
/// 256 bytes: browsers send about 120, in-app browsers up to 250.
pub(super) const AGENT: usize = 256;

/// Marks a truncated text.
const MARK: &str = "…";

/// `text`, or its first `most` bytes up to a character boundary plus a mark.
pub(super) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    Cow::Owned([&text[..text.floor_char_boundary(most)], MARK].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_between_characters_and_marked() {
        for (text, expected) in [("", ""), ("abcd", "abcd"), ("abcde", "abcd…"), ("abcü", "abc…"), ("🚢🚢", "🚢…")]
        {
            assert_eq!(cut(text, 4), expected);
        }
    }
}
