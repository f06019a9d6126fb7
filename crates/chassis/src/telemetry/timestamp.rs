//! RFC 3339 timestamps in UTC, with milliseconds.
//!
//! Next: [`super::sink`].

use std::{
    cell::Cell,
    time::{SystemTime, UNIX_EPOCH},
};

use super::digits::{digit, padded};

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
    for (place, unit) in text[MILLISECONDS..].iter_mut().zip([100, 10, 1]) {
        *place = digit((milliseconds / unit % 10).into());
    }
    out.extend_from_slice(&text);
}

/// `2026-01-31T12:34:56.000Z`
fn second(seconds: u64) -> Text {
    let mut text = Vec::with_capacity(size_of::<Text>());
    let (year, month, day) = date(seconds / 86_400);
    padded::<4>(&mut text, year);
    for (before, number) in
        [(b'-', month), (b'-', day), (b'T', seconds / 3_600 % 24), (b':', seconds / 60 % 60), (b':', seconds % 60)]
    {
        text.push(before);
        padded::<2>(&mut text, number);
    }
    text.extend_from_slice(b".000Z");
    text.try_into().expect("each part has its fixed length")
}

/// Year, month and day of a day since 1970; Howard Hinnant's `civil_from_days` without the years before.
fn date(days: u64) -> (u64, u64, u64) {
    // From 0000-03-01 on: a year that begins in March ends with its leap day.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
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
