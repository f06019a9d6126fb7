//! The grammar of a chunked body, to its last byte (RFC 9112, section 7.1).
//!
//! hyper's decoder takes more than that. Two readers that see different ends of one message are what request smuggling
//! needs, so each byte is held to the grammar before hyper has it.
//!
//! Next: [`super::body`].

/// Where in a chunked body a reader is.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    at: At,
    /// Of the chunk; its bytes that have not come, once its line is over.
    size: u64,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// The first digit of a size.
    #[default]
    Size,
    Digits,
    /// Space before the semicolon of an extension.
    BeforeExtension,
    /// Space, or the first letter of an extension's name.
    BeforeName,
    ExtensionName,
    /// Space before an equals sign or a semicolon.
    BehindName,
    /// Space, or the first letter of an extension's value.
    BeforeValue,
    Token,
    Quoted,
    Escaped,
    BehindQuoted,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// A field of the trailer section, or its end.
    Line,
    Name,
    Value,
    ValueLf,
    EndLf,
    Over,
}

/// What a walk found in its bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// All of them are the body's.
    Body,
    /// The body's end is behind this many.
    End(usize),
    /// So many are right, and the next is not.
    Bad(usize),
}

impl Chunks {
    pub(super) fn walk(&mut self, bytes: &[u8]) -> Found {
        let mut here = 0;
        while here < bytes.len() {
            if self.at == At::Data {
                let left = usize::try_from(self.size).unwrap_or(usize::MAX);
                let taken = left.min(bytes.len() - here);
                self.size -= taken as u64;
                here += taken;
                if self.size == 0 {
                    self.at = At::DataCr;
                }
                continue;
            }
            let Some(next) = self.next(bytes[here]) else { return Found::Bad(here) };
            self.at = next;
            here += 1;
            if next == At::Over {
                return Found::End(here);
            }
        }
        Found::Body
    }

    fn next(&mut self, byte: u8) -> Option<At> {
        Some(match (self.at, byte) {
            (At::Size | At::Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => return self.digit(byte),
            (At::Digits, b'\r') => At::SizeLf,
            (At::SizeLf, b'\n') if self.size == 0 => At::Line,
            (At::SizeLf, b'\n') => At::Data,
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size,
            (At::Line, b'\r') => At::EndLf,
            (At::EndLf, b'\n') => At::Over,
            (At::Line | At::Name, byte) if is_of_a_token(byte) => At::Name,
            (At::Name, b':') => At::Value,
            (At::Value, b'\r') => At::ValueLf,
            (At::Value, byte) if is_of_a_value(byte) => At::Value,
            (At::ValueLf, b'\n') => At::Line,
            (at, byte) => return extension(at, byte),
        })
    }

    fn digit(&mut self, digit: u8) -> Option<At> {
        let digit = char::from(digit).to_digit(16)?;
        self.size = self.size.checked_mul(16)?.checked_add(digit.into())?;
        Some(At::Digits)
    }
}

/// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`, and the end of its line.
fn extension(at: At, byte: u8) -> Option<At> {
    let is_space = matches!(byte, b' ' | b'\t');
    Some(match (at, byte) {
        (
            At::Digits | At::BeforeExtension | At::ExtensionName | At::BehindName | At::Token | At::BehindQuoted,
            b';',
        ) => At::BeforeName,
        (At::Digits | At::BeforeExtension | At::Token | At::BehindQuoted, _) if is_space => At::BeforeExtension,
        (At::BeforeName, _) if is_space => At::BeforeName,
        (At::BeforeName | At::ExtensionName, _) if is_of_a_token(byte) => At::ExtensionName,
        (At::ExtensionName | At::BehindName, _) if is_space => At::BehindName,
        (At::ExtensionName | At::BehindName, b'=') => At::BeforeValue,
        (At::BeforeValue, _) if is_space => At::BeforeValue,
        (At::BeforeValue | At::Token, _) if is_of_a_token(byte) => At::Token,
        (At::BeforeValue, b'"') => At::Quoted,
        (At::Quoted, b'"') => At::BehindQuoted,
        (At::Quoted, b'\\') => At::Escaped,
        (At::Quoted | At::Escaped, _) if is_of_a_value(byte) => At::Quoted,
        (At::ExtensionName | At::Token | At::BehindQuoted, b'\r') => At::SizeLf,
        _ => return None,
    })
}

/// RFC 9110, section 5.6.2.
const fn is_of_a_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// What HTTP lets stand in a value (RFC 9110, section 5.5).
const fn is_of_a_value(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body and what is behind it: whether it has an end there, however its bytes are cut.
    fn is_whole(body: &str) -> bool {
        let next = b"GET / HTTP/1.1\r\n\r\n";
        let bytes = [body.as_bytes(), next].concat();
        let mut verdicts = (1..bytes.len()).map(|cut| {
            let mut chunks = Chunks::default();
            let end = match chunks.walk(&bytes[..cut]) {
                Found::Body => match chunks.walk(&bytes[cut..]) {
                    Found::End(end) => Found::End(cut + end),
                    found => found,
                },
                found => found,
            };
            end == Found::End(body.len())
        });
        let first = verdicts.next().expect("a cut");
        assert!(verdicts.all(|verdict| verdict == first), "{body:?}");
        first
    }

    #[test]
    fn what_the_grammar_allows_is_taken() {
        for line in ["5", "05", "0000000000000000000005", "5;a", "5;a=b", "5 ; a = b", "5;a=\"b;\\\"\tc\"", "5;a;b=c;d"]
        {
            assert!(is_whole(&format!("{line}\r\nhello\r\n0\r\n\r\n")), "{line:?}");
        }
        for end in [
            "0\r\n\r\n",
            "000;a\r\n\r\n",
            "0\r\na: b\r\n\r\n",
            "0\r\na:\r\nb: \tc d\r\n\r\n",
            "A\r\n0123456789\r\n0\r\n\r\n",
        ] {
            assert!(is_whole(&format!("5\r\nhello\r\n{end}")), "{end:?}");
        }
    }

    #[test]
    fn anything_else_is_not() {
        for line in [
            "", " 5", "5 ", "5\t", "+5", "0x5", "5;", "5;=", "5; a=", "5;a\"", "5;a=\"b", "5;a\0b", "5;a\rb", "g",
            "-1", "5,5",
        ] {
            assert!(!is_whole(&format!("{line}\r\nhello\r\n0\r\n\r\n")), "{line:?}");
        }
        assert!(!is_whole("10000000000000005\r\nhello\r\n0\r\n\r\n"), "beyond 64 bits");
        for rest in ["5\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello0\r\n\r\n", "5\r\nhell\r\n0\r\n\r\n"]
        {
            assert!(!is_whole(rest), "{rest:?}");
        }
        for end in [
            "0\n\r\n",
            "0\r\n\n",
            "0\n\n",
            "0\r\n\rx",
            "0\r\na: b\n\r\n",
            "0\r\na: b\nc: d\r\n\r\n",
            "0\r\na\r\n\r\n",
            "0\r\na : b\r\n\r\n",
            "0\r\n a: b\r\n\r\n",
            "0\r\na: b\r\n c\r\n\r\n",
            "0\r\na: \0\r\n\r\n",
            "0\r\n: b\r\n\r\n",
            "0\r\n0\r\n\r\n",
            "0\r\na: b\rc\r\n\r\n",
        ] {
            assert!(!is_whole(&format!("5\r\nhello\r\n{end}")), "{end:?}");
        }
    }
}
