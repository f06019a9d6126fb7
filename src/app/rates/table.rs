//! The rate table: what a parcel costs, by speed and lane. Next: [`crate::app::config`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// 100,000 in major units: a higher price is an error of the sender, and sums stay far from overflow.
pub(crate) const MAX_PRICE: u32 = 10_000_000;
/// 1,000 %: ten times the price, for the same reason.
pub(crate) const MAX_FUEL: u32 = 1000;

/// An ISO 3166-1 alpha-2 code, in capitals.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(extend("pattern" = "^[A-Z]{2}$"))]
pub struct Country(String);

impl TryFrom<String> for Country {
    type Error = &'static str;

    fn try_from(code: String) -> Result<Self, Self::Error> {
        if code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
            Ok(Self(code))
        } else {
            Err("invalid value, expected two capital letters")
        }
    }
}

/// How fast it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Speed {
    /// By road and sea.
    Standard,
    /// By air.
    Express,
}

/// How far it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Within a country.
    Domestic,
    /// Between countries of a region.
    Regional,
    /// Between regions.
    International,
}

/// The price of a service on a lane, in minor units of the table's currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Price {
    /// For which service.
    pub service: Speed,
    /// On which lane.
    pub lane: Lane,
    /// For any parcel.
    pub base: u32,
    /// For each kilogram, begun ones in part.
    pub per_kg: u32,
}

/// The rate table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Table {
    /// Which table it is.
    pub version: String,
    /// ISO 4217.
    pub currency: String,
    /// Space that counts as a gram, in cubic millimetres: light and large parcels pay for their space.
    pub mm3_per_g: u32,
    /// Added to the price, in percent.
    pub fuel_percent: u32,
    /// The region of each country that is served.
    pub countries: BTreeMap<Country, String>,
    /// One for each service and lane.
    pub prices: Vec<Price>,
}

impl Table {
    /// The default table.
    #[must_use]
    pub fn built_in() -> Self {
        let regions = [
            ("africa", "KE MA NG ZA"),
            ("americas", "AR BR CA CL MX US"),
            ("asia-pacific", "AU CN IN JP KR NZ SG"),
            ("europe", "AT BE CH CZ DE DK ES FI FR GB IE IT NL NO PL PT SE"),
        ];
        let country = |(region, codes): (&str, &'static str)| {
            let region = region.to_owned();
            codes.split(' ').map(move |code| (Country(code.to_owned()), region.clone()))
        };
        let price = |service, lane, base, per_kg| Price { service, lane, base, per_kg };
        Self {
            version: "2026-01".into(),
            currency: "EUR".into(),
            // 5,000 cm³ for a kilogram is the carriers' custom.
            mm3_per_g: 5000,
            fuel_percent: 12,
            countries: regions.into_iter().flat_map(country).collect(),
            prices: vec![
                price(Speed::Standard, Lane::Domestic, 490, 60),
                price(Speed::Standard, Lane::Regional, 990, 180),
                price(Speed::Standard, Lane::International, 1990, 520),
                price(Speed::Express, Lane::Domestic, 990, 120),
                price(Speed::Express, Lane::Regional, 2490, 450),
                price(Speed::Express, Lane::International, 4490, 990),
            ],
        }
    }

    /// Whether every parcel that it serves can be priced; an upstream's table may contain anything.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let services = [Speed::Standard, Speed::Express];
        let lanes = [Lane::Domestic, Lane::Regional, Lane::International];
        let priced = services.iter().all(|service| lanes.iter().all(|lane| self.price(*service, *lane).is_some()));
        let modest = self.prices.iter().all(|price| price.base.max(price.per_kg) <= MAX_PRICE);
        priced && modest && self.mm3_per_g > 0 && self.fuel_percent <= MAX_FUEL && !self.countries.is_empty()
    }

    /// Whether parcels go from and to there.
    #[must_use]
    pub fn serves(&self, country: &Country) -> bool {
        self.countries.contains_key(country)
    }

    /// The lane between two countries.
    #[must_use]
    pub fn lane(&self, from: &Country, to: &Country) -> Lane {
        if from == to {
            Lane::Domestic
        } else if self.countries.get(from) == self.countries.get(to) {
            Lane::Regional
        } else {
            Lane::International
        }
    }

    /// The price of a service on a lane.
    #[must_use]
    pub fn price(&self, service: Speed, lane: Lane) -> Option<&Price> {
        self.prices.iter().find(|price| price.service == service && price.lane == lane)
    }
}
