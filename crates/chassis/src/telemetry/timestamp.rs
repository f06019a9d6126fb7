//! RFC 3339 timestamps in UTC, with milliseconds.
//!
//! Next: [`super::sink`].

use std::{
    cell::Cell,
    time::{SystemTime, UNIX_EPOCH},
};

use super::digits::padded;

thread_local! {
    /// The second that was written last on this thread, and its text: thousands of lines share it.
    static LAST: Cell<(u64, [u8; 20])> = const { Cell::new((u64::MAX, [0; 20])) };
}

/// Appends the present as `2026-01-31T12:34:56.789Z`.
pub(super) fn now(out: &mut Vec<u8>) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    write(out, since.as_secs(), since.subsec_millis());
}

fn write(out: &mut Vec<u8>, seconds: u64, milliseconds: u32) {
    let (last, text) = LAST.get();
    if last == seconds {
        out.extend_from_slice(&text);
    } else {
        let begin = out.len();
        second(out, seconds);
        LAST.set((seconds, out[begin..].try_into().expect("each part has its fixed length")));
    }
    padded::<3>(out, milliseconds.into());
    out.push(b'Z');
}

/// `2026-01-31T12:34:56.`
fn second(out: &mut Vec<u8>, seconds: u64) {
    let (year, month, day) = date(seconds / 86_400);
    padded::<4>(out, year);
    for (before, number) in
        [(b'-', month), (b'-', day), (b'T', seconds / 3_600 % 24), (b':', seconds / 60 % 60), (b':', seconds % 60)]
    {
        out.push(before);
        padded::<2>(out, number);
    }
    out.push(b'.');
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
