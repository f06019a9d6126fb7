//! The text of a file, whatever its editor puts before, behind and between the lines.
//!
//! A byte order mark, CRLF, a lone CR, and the Ctrl-Z and padding of old tools at the end are no part of a setting.
//! Another encoding than UTF-8 is refused and not guessed: a wrong guess would be a wrong password.
//!
//! Next: [`super::secret`].

const MARK: char = '\u{feff}';
const CTRL_Z: char = '\u{1a}';

/// A settings file's text, with the same lines as any other editor would have written.
///
/// # Errors
/// What the bytes are instead; nothing of them.
pub(crate) fn lines(bytes: Vec<u8>) -> Result<String, String> {
    let mut text = plain(bytes)?;
    let behind = text.trim_end_matches(|letter: char| letter.is_whitespace() || is_end(letter)).len();
    // White space before such an end may belong to a value.
    if let Some(end) = text[behind..].find(is_end) {
        text.truncate(behind + end);
    }
    if text.contains('\r') { Ok(text.replace("\r\n", "\n").replace('\r', "\n")) } else { Ok(text) }
}

/// The same, with only the mark taken off: for a value that is a file's whole content.
///
/// # Errors
/// As [`lines`].
pub(crate) fn plain(bytes: Vec<u8>) -> Result<String, String> {
    if is_wide(&bytes) {
        return Err("is UTF-16 text; save it as UTF-8".into());
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        format!("is not UTF-8 text, at line {}", before.split(|byte| *byte == b'\n').count())
    })?;
    if text.starts_with(MARK) {
        text.drain(..MARK.len_utf8());
    }
    Ok(text)
}

/// The bytes behind the mark: a parser of PEM finds no certificate in the line that has one.
#[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "only TLS reads PEM"))]
pub(crate) fn unmarked(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)
}

/// By its mark, or by the zero in the first letter of what begins with an ASCII letter.
fn is_wide(bytes: &[u8]) -> bool {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [first, second, ..] => (*first == 0) != (*second == 0),
        _ => false,
    }
}

const fn is_end(letter: char) -> bool {
    matches!(letter, CTRL_Z | '\0')
}
