//! RFC 3339 timestamps in UTC, with milliseconds.
//!
//! Next: [`super::sink`].

use std::{
    cell::Cell,
    io::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use time::OffsetDateTime;

type Text = [u8; 24];

/// Where they begin in a [`Text`].
const MILLISECONDS: usize = 20;

thread_local! {
    /// The second that was written last on this thread, and its text: thousands of lines share it.
    static LAST: Cell<(u64, Text)> = const { Cell::new((u64::MAX, [0; _])) };
}

/// Appends the present as `2026-01-31T12:34:56.789Z`.
pub(super) fn now(out: &mut Vec<u8>) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    write(out, since.as_secs(), since.subsec_millis());
}

fn write(out: &mut Vec<u8>, seconds: u64, milliseconds: u32) {
    let (last, mut text) = LAST.get();
    if last != seconds {
        text = second(seconds);
        LAST.set((seconds, text));
    }
    // With a digit in front, so that zeros at its beginning are written.
    let mut buffer = itoa::Buffer::new();
    text[MILLISECONDS..][..3].copy_from_slice(&buffer.format(1_000 + milliseconds % 1_000).as_bytes()[1..]);
    out.extend_from_slice(&text);
}

/// `2026-01-31T12:34:56.000Z`; a clock beyond the year 9999 shows 1970.
fn second(seconds: u64) -> Text {
    let at = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (date, (hour, minute, second)) = (at.date(), at.to_hms());
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    let mut text = Text::default();
    write!(&mut text[..], "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z")
        .expect("each part has its fixed length");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants_are_written_right() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_399, "2000-02-28T23:59:59.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (1_709_251_199, "2024-02-29T23:59:59.007Z"),
            (1_735_689_599, "2024-12-31T23:59:59.007Z"),
            (4_102_444_800, "2100-01-01T00:00:00.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
        ] {
            let mut out = Vec::new();
            // Twice: the second time it is the one that was kept.
            write(&mut out, seconds, 7);
            write(&mut out, seconds, 7);
            assert_eq!(String::from_utf8(out).unwrap(), [expected, expected].concat());
        }
    }
}
