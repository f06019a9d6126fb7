//! `key=value` pairs with commas, values percent-encoded (W3C Baggage, as OpenTelemetry's list variables have it).
//!
//! Next: [`super::target`].

/// The pairs of `list`; an error never repeats a value, which may be a secret.
pub(super) fn parse(list: &str) -> Result<Vec<(String, String)>, String> {
    let wrong = |number: usize, reason: &str| format!("entry {number}: {reason}");
    let mut pairs = Vec::new();
    for (index, entry) in list.split(',').enumerate().filter(|(_, entry)| !entry.trim().is_empty()) {
        let (key, value) = entry.split_once('=').ok_or_else(|| wrong(index + 1, "expected key=value"))?;
        if key.trim().is_empty() {
            return Err(wrong(index + 1, "the key is empty"));
        }
        let value = percent_decoded(value.trim()).ok_or_else(|| wrong(index + 1, "bad percent-encoding"))?;
        pairs.push((key.trim().to_owned(), value));
    }
    Ok(pairs)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let value = digit()? << 4 | digit()?;
        decoded.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(decoded).ok()
}
