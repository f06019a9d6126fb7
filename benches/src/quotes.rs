//! The work of the service's `POST /v1/quotes`, by derived code: what a parcel costs.
//!
//! The same countries, prices and sums. A wrong body is one error here; the service names all its wrong fields.

use serde::{Deserialize, Serialize};

/// A parcel.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parcel {
    from: String,
    to: String,
    weight_g: u64,
    dimensions_mm: Dimensions,
    service: Speed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dimensions {
    length: u64,
    width: u64,
    height: u64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Speed {
    Standard,
    Express,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Lane {
    Domestic,
    Regional,
    International,
}

/// Its price.
#[derive(Serialize)]
pub struct Quote {
    amount_minor: u64,
    currency: &'static str,
    breakdown: Vec<Item>,
    lane: Lane,
    chargeable_weight_g: u64,
    rates: Rates,
}

#[derive(Serialize)]
struct Item {
    item: &'static str,
    amount_minor: u64,
}

#[derive(Serialize)]
struct Rates {
    version: &'static str,
    source: &'static str,
}

const REGIONS: [&str; 4] =
    ["KE MA NG ZA", "AR BR CA CL MX US", "AU CN IN JP KR NZ SG", "AT BE CH CZ DE DK ES FI FR GB IE IT NL NO PL PT SE"];

/// Base and price for a kilogram, by speed and lane.
const PRICES: [[(u64, u64); 3]; 2] = [[(490, 60), (990, 180), (1990, 520)], [(990, 120), (2490, 450), (4490, 990)]];

impl Parcel {
    /// Its price; `None` where it is too large, or goes where nobody does.
    #[must_use]
    pub fn quote(&self) -> Option<Quote> {
        let Dimensions { length, width, height } = self.dimensions_mm;
        let fits = [length, width, height].iter().all(|side| (1..=1500).contains(side));
        if !fits || !(1..=30_000).contains(&self.weight_g) {
            return None;
        }
        let (from, to) = (region(&self.from)?, region(&self.to)?);
        let lane = match (self.from == self.to, from == to) {
            (true, _) => Lane::Domestic,
            (_, true) => Lane::Regional,
            _ => Lane::International,
        };
        let (base, per_kg) = PRICES[self.service as usize][lane as usize];
        let chargeable_weight_g = (length * width * height).div_ceil(5000).max(self.weight_g);
        let weight = (chargeable_weight_g * per_kg).div_ceil(1000);
        let fuel = ((base + weight) * 12).div_ceil(100);
        let item = |item, amount_minor| Item { item, amount_minor };
        Some(Quote {
            amount_minor: base + weight + fuel,
            currency: "EUR",
            breakdown: vec![item("base", base), item("weight", weight), item("fuel", fuel)],
            lane,
            chargeable_weight_g,
            rates: Rates { version: "2026-01", source: "built-in" },
        })
    }
}

fn region(country: &str) -> Option<usize> {
    REGIONS.iter().position(|region| region.split(' ').any(|one| one == country))
}
