//! Header blocks whose malformed fields are written anew, so that h2 sees a malformed request and not a broken connection.
//!
//! Next: [`super::huffman`].

use super::field::Field;

/// The static table has 61 entries; the newest of the other one is behind them.
const NEWEST: usize = 62;
/// 128: entries of 32 bytes in a table of 4,096, which is what we grant.
const ENTRIES: u64 = 128;
/// `te: x`, without a place in the table: h2 resets the stream of a request that has it (RFC 9113, section 8.2.2).
const REFUSED: [u8; 6] = [0, 2, b't', b'e', 1, b'x'];

/// The table of one connection's peer, as far as it matters.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// Entries so far, of which the last [`ENTRIES`] may still be there.
    inserted: u64,
    /// Those that stand for a malformed field.
    poisoned: Vec<u64>,
}

/// A block's verdict.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    /// Its request is malformed; the block to pass on instead.
    Anew(Vec<u8>),
}

impl Fields {
    pub(super) fn check(&mut self, block: &[u8]) -> Verdict {
        let (mut rest, mut inserted) = (block, self.inserted);
        while let Some(first) = rest.first() {
            // A field by its number, as nearly all of a repeated block are: what is in the tables was looked at.
            if matches!(first, 0x80..=0xfe) && self.poisoned.is_empty() {
                rest = &rest[1..];
                continue;
            }
            // What is no HPACK is h2's to refuse, with the connection.
            let Some(field) = Field::next(&mut rest) else { return Verdict::Fine };
            if field.is_malformed() || self.is_poisoned(&field, inserted) {
                return self.anew(block).map_or(Verdict::Fine, Verdict::Anew);
            }
            inserted += u64::from(matches!(field, Field::Literal { is_kept: true, .. }));
        }
        self.inserted = inserted;
        Verdict::Fine
    }

    /// Whether it refers to an entry that stands for a malformed field.
    fn is_poisoned(&self, field: &Field<'_>, inserted: u64) -> bool {
        let (Field::Indexed(index) | Field::Literal { index, .. }) = *field else { return false };
        if self.poisoned.is_empty() || index < NEWEST {
            return false;
        }
        let back = (index - NEWEST) as u64;
        inserted.checked_sub(back).is_some_and(|entry| self.poisoned.contains(&entry))
    }

    /// The same block with a harmless field of the same size for each malformed one, so that the tables of both sides agree.
    fn anew(&mut self, block: &[u8]) -> Option<Vec<u8>> {
        let (mut rest, mut out) = (block, Vec::with_capacity(block.len() * 2));
        while !rest.is_empty() {
            let before = rest;
            let field = Field::next(&mut rest)?;
            let is_malformed = field.is_malformed();
            if is_malformed {
                write(&mut out, &field)?;
            } else {
                out.extend_from_slice(&before[..before.len() - rest.len()]);
            }
            if let Field::Literal { is_kept: true, .. } = field {
                let is_poisoned = is_malformed || self.is_poisoned(&field, self.inserted);
                self.inserted += 1;
                if is_poisoned {
                    self.poisoned.push(self.inserted);
                }
            }
        }
        let oldest = self.inserted.saturating_sub(ENTRIES);
        self.poisoned.retain(|entry| *entry > oldest);
        out.extend(REFUSED);
        Some(out)
    }
}

/// A field of as many letters. The name of a pseudo-header that has rules of its own is written out.
fn write(out: &mut Vec<u8>, field: &Field<'_>) -> Option<()> {
    let Field::Literal { is_kept, index, name, value } = *field else { return None };
    let (first, prefix) = if is_kept { (0x40, 6) } else { (0, 4) };
    let name = match index {
        // `:method` and `:status`.
        2 | 3 | 8..=14 => 7,
        // h2 takes no empty name: what one letter more costs is one less of the value.
        0 => name.decoded()?.len(),
        _ => 0,
    };
    let mut value = value.decoded()?.len();
    if index == 0 || name > 0 {
        out.push(first);
        value -= usize::from(name == 0 && value > 0);
        letters(out, name.max(1));
    } else {
        integer(out, first, prefix, index);
    }
    letters(out, value);
    Some(())
}

fn letters(out: &mut Vec<u8>, count: usize) {
    integer(out, 0, 7, count);
    out.resize(out.len() + count, b'x');
}

#[expect(clippy::cast_possible_truncation, reason = "below 128")]
fn integer(out: &mut Vec<u8>, first: u8, prefix: u32, mut value: usize) {
    let most = (1 << prefix) - 1;
    if value < most {
        return out.push(first | value as u8);
    }
    out.push(first | most as u8);
    value -= most;
    while value >= 0x80 {
        out.push(value as u8 & 0x7f | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: [u8; 3] = [0x82, 0x86, 0x84];

    fn literal(first: u8, name: &[u8], value: &[u8]) -> Vec<u8> {
        let length = |text: &[u8]| u8::try_from(text.len()).expect("a short text");
        [&GET, &[first, length(name)][..], name, &[length(value)], value].concat()
    }

    fn is_fine(fields: &mut Fields, block: &[u8]) -> bool {
        fields.check(block) == Verdict::Fine
    }

    #[test]
    fn what_h2_takes_is_left_alone() {
        for (name, value) in
            [("x", ""), ("x-y", "a b\tc"), ("cookie", "a=\u{e9}"), (":path", "/"), (":protocol", "x"), ("te", "gzip")]
        {
            assert!(is_fine(&mut Fields::default(), &literal(0, name.as_bytes(), value.as_bytes())), "{name}: {value}");
        }
    }

    #[test]
    fn a_malformed_field_is_replaced_by_one_of_its_size() {
        for (name, value) in
            [(&b"X"[..], &b"a"[..]), (b"x y", b""), (b"x", b"a\nb"), (b":foo", b"a"), (b":method", b"G T")]
        {
            let block = literal(0x40, name, value);
            let Verdict::Anew(anew) = Fields::default().check(&block) else { panic!("taken: {name:?}") };
            let x = |text: &[u8]| vec![b'x'; text.len()];
            assert_eq!(anew, [literal(0x40, &x(name), &x(value)), REFUSED.to_vec()].concat(), "{name:?}");
        }
        let Verdict::Anew(anew) = Fields::default().check(&literal(0x40, b"", b"ab")) else { panic!("taken") };
        assert_eq!(anew, [literal(0x40, b"x", b"x"), REFUSED.to_vec()].concat());
    }

    /// A peer that has put a malformed field into the table refers to it later.
    #[test]
    fn what_refers_to_a_malformed_field_is_malformed() {
        let mut fields = Fields::default();
        assert!(!is_fine(&mut fields, &literal(0x40, b"X", b"a")));
        assert!(is_fine(&mut fields, &GET));
        assert!(!is_fine(&mut fields, &[0x82, 0x86, 0x84, 0xbe]));
        assert!(is_fine(&mut fields, &literal(0x40, b"y", b"a")));
        assert!(is_fine(&mut fields, &[0x82, 0x86, 0x84, 0xbe]));
        assert!(!is_fine(&mut fields, &[0x82, 0x86, 0x84, 0xbf]));
        // Its name, kept again with another value.
        assert!(!is_fine(&mut fields, &[0x82, 0x86, 0x84, 0x7f, 0x00, 1, b'b']));
        assert!(!is_fine(&mut fields, &[0x82, 0x86, 0x84, 0xbe]));
    }
}
