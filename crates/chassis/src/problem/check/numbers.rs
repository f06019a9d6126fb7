//! Rules on numbers, exact among integers of 64 bits.
//!
//! Next: [`super::formats`].

use std::cmp::Ordering;

use serde_json::Number;

/// A number's bounds; each with whether the bound itself is allowed.
#[derive(Debug, Default)]
pub(super) struct Range {
    pub(super) least: Option<(Number, bool)>,
    pub(super) most: Option<(Number, bool)>,
}

impl Range {
    pub(super) fn contains(&self, number: &Number) -> bool {
        let above = |(least, included): &(Number, bool)| match compare(number, least) {
            Ordering::Equal => *included,
            order => order == Ordering::Greater,
        };
        let below = |(most, included): &(Number, bool)| match compare(number, most) {
            Ordering::Equal => *included,
            order => order == Ordering::Less,
        };
        self.least.as_ref().is_none_or(above) && self.most.as_ref().is_none_or(below)
    }

    pub(super) fn detail(&self) -> String {
        let least = |(least, included): &(Number, bool)| match included {
            true => format!("at least {least}"),
            false => format!("above {least}"),
        };
        let most = |(most, included): &(Number, bool)| match included {
            true => format!("at most {most}"),
            false => format!("below {most}"),
        };
        match (&self.least, &self.most) {
            (Some((least, true)), Some((most, true))) => format!("must be {least} to {most}"),
            (low, high) => {
                let both: Vec<_> = low.iter().map(least).chain(high.iter().map(most)).collect();
                format!("must be {}", both.join(" and "))
            }
        }
    }
}

/// Exact among integers.
fn compare(a: &Number, b: &Number) -> Ordering {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
    }
}

pub(super) fn is_multiple(number: &Number, step: &Number) -> bool {
    match (number.as_i128(), step.as_i128(), number.as_f64(), step.as_f64()) {
        (Some(number), Some(step), ..) => step != 0 && number % step == 0,
        // Through the quotient: 0.3 is a multiple of 0.1, but 0.3 % 0.1 is not 0.
        (_, _, Some(number), Some(step)) => (number / step - (number / step).round()).abs() < 1e-9,
        _ => true,
    }
}
