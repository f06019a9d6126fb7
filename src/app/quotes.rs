//! `POST /v1/quotes`: what a parcel costs.
//!
//! A quote is computed and not stored, so any replica can serve it. Next: [`super::rates`].

use std::{ops::RangeInclusive, sync::Arc};

use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    error::Error,
    rates::{Book, Country, Current, Lane, Source, Speed, Table},
};
use chassis::{
    openapi::{Methods, post},
    problem::{Draft, Form, Json, Problem},
};

/// 30 kg: the limit for lifting by one person.
const WEIGHT_G: RangeInclusive<i64> = 1..=30_000;
/// 1.5 m: what fits across a van.
const SIDE_MM: RangeInclusive<i64> = 1..=1500;

/// A parcel to be priced.
// Read by hand in `Parcel::read`, to report all wrong fields at once.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields, example = example())]
pub struct Parcel {
    /// Where it starts.
    pub from: Country,
    /// Where it goes.
    pub to: Country,
    /// In grams, 1 to 30,000.
    #[schemars(range(min = *WEIGHT_G.start(), max = *WEIGHT_G.end()))]
    pub weight_g: u32,
    /// Its sides.
    pub dimensions_mm: Dimensions,
    /// How fast it goes.
    pub service: Speed,
}

/// A parcel's sides in millimetres, each 1 to 1,500.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Dimensions {
    /// The length.
    #[schemars(range(min = *SIDE_MM.start(), max = *SIDE_MM.end()))]
    pub length: u32,
    /// The width.
    #[schemars(range(min = *SIDE_MM.start(), max = *SIDE_MM.end()))]
    pub width: u32,
    /// The height.
    #[schemars(range(min = *SIDE_MM.start(), max = *SIDE_MM.end()))]
    pub height: u32,
}

/// A parcel's price; amounts are in minor units (cents) of the currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Quote {
    /// The sum of the breakdown.
    pub amount_minor: u64,
    /// ISO 4217.
    pub currency: String,
    /// What the amount is made of.
    pub breakdown: Vec<Item>,
    /// How far it goes.
    pub lane: Lane,
    /// The weight that counts: its own, or that of its space where that is more.
    pub chargeable_weight_g: u64,
    /// Which rates were used.
    pub rates: RatesUsed,
}

/// A part of the price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Item {
    /// `base`, `weight` or `fuel`.
    pub item: &'static str,
    /// In minor units.
    pub amount_minor: u64,
}

/// Which rates were used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RatesUsed {
    /// The table's version.
    pub version: String,
    /// Where it came from.
    pub source: Source,
}

/// The route.
pub fn create(book: &Arc<Book>) -> Methods {
    post(quote).about("What a parcel costs").with_state(Arc::clone(book))
}

async fn quote(State(book): State<Arc<Book>>, Json(draft): Json<Draft<Parcel>>) -> Result<Json<Quote>, Error> {
    let rates = book.current().await;
    let parcel = Parcel::read(draft, &rates.table)?;
    parcel.price(&rates).map(Json)
}

impl Parcel {
    /// Reads all fields before it responds, so that a client gets all errors at once.
    fn read(draft: Draft<Self>, table: &Table) -> Result<Self, Problem> {
        let mut form = draft.form();
        let from = country(&mut form, "from", table);
        let to = country(&mut form, "to", table);
        let weight_g = number(&mut form, "weight_g", &WEIGHT_G);
        let dimensions_mm = Dimensions::read(form.object("dimensions_mm"));
        let service = form.require("service");
        form.finish()?;
        match (from, to, weight_g, dimensions_mm, service) {
            (Some(from), Some(to), Some(weight_g), Some(dimensions_mm), Some(service)) => {
                Ok(Self { from, to, weight_g, dimensions_mm, service })
            }
            _ => unreachable!("a field is only missing when the form has an error"),
        }
    }

    fn price(&self, Current { table, source }: &Current) -> Result<Quote, Error> {
        let (service, lane) = (self.service, table.lane(&self.from, &self.to));
        let price = table.price(service, lane).ok_or(Error::NoPrice { service, lane })?;
        let chargeable_weight_g =
            self.dimensions_mm.volume().div_ceil(table.mm3_per_g.into()).max(self.weight_g.into());
        let base = u64::from(price.base);
        let weight = (chargeable_weight_g * u64::from(price.per_kg)).div_ceil(1000);
        let fuel = ((base + weight) * u64::from(table.fuel_percent)).div_ceil(100);
        let item = |item, amount_minor| Item { item, amount_minor };
        Ok(Quote {
            amount_minor: base + weight + fuel,
            currency: table.currency.clone(),
            breakdown: vec![item("base", base), item("weight", weight), item("fuel", fuel)],
            lane,
            chargeable_weight_g,
            rates: RatesUsed { version: table.version.clone(), source: *source },
        })
    }
}

impl Dimensions {
    fn read(mut form: Form) -> Option<Self> {
        let length = number(&mut form, "length", &SIDE_MM);
        let width = number(&mut form, "width", &SIDE_MM);
        let height = number(&mut form, "height", &SIDE_MM);
        form.close();
        Some(Self { length: length?, width: width?, height: height? })
    }

    /// In cubic millimetres.
    fn volume(self) -> u64 {
        u64::from(self.length) * u64::from(self.width) * u64::from(self.height)
    }
}

/// What the API's description shows.
fn example() -> Value {
    let dimensions = json!({ "length": 300, "width": 200, "height": 100 });
    json!({ "from": "DE", "to": "FR", "weight_g": 800, "dimensions_mm": dimensions, "service": "standard" })
}

fn country(form: &mut Form, name: &str, table: &Table) -> Option<Country> {
    let country = form.require(name)?;
    if table.serves(&country) { Some(country) } else { form.reject(name, "unknown_country", "is not served") }
}

fn number(form: &mut Form, name: &str, range: &RangeInclusive<i64>) -> Option<u32> {
    let number: i64 = form.require(name)?;
    match u32::try_from(number) {
        Ok(fitting) if range.contains(&number) => Some(fitting),
        _ => form.reject(name, "out_of_range", format!("must be {} to {}", range.start(), range.end())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::rates::{MAX_FUEL, MAX_PRICE};

    fn priced(body: Value) -> Quote {
        let table = Arc::new(Table::built_in());
        let parcel = Parcel::read(body.into(), &table).unwrap();
        parcel.price(&Current { table, source: Source::BuiltIn }).unwrap()
    }

    #[test]
    fn a_light_and_large_parcel_pays_for_its_space() {
        let quote = priced(example());
        // 6,000,000 mm³ / 5,000 = 1,200 g; 990 + 1.2 × 180 = 1,206; 12 % of it is 144.72.
        assert_eq!(
            (quote.chargeable_weight_g, quote.lane, quote.amount_minor),
            (1200, Lane::Regional, 990 + 216 + 145)
        );
        assert_eq!(quote.amount_minor, quote.breakdown.iter().map(|item| item.amount_minor).sum::<u64>());
    }

    #[test]
    fn lanes_follow_countries_and_regions() {
        let mut body = example();
        body["to"] = "DE".into();
        assert_eq!(priced(body.clone()).lane, Lane::Domestic);
        body["to"] = "US".into();
        assert_eq!(priced(body).lane, Lane::International);
    }

    #[test]
    fn the_largest_parcel_under_the_largest_table_has_a_price() {
        let mut table = Table::built_in();
        (table.mm3_per_g, table.fuel_percent) = (1, MAX_FUEL);
        table.prices.iter_mut().for_each(|price| (price.base, price.per_kg) = (MAX_PRICE, MAX_PRICE));
        assert!(table.is_sound());
        let sides = Dimensions { length: 1500, width: 1500, height: 1500 };
        let parcel =
            Parcel { weight_g: 30_000, dimensions_mm: sides, ..Parcel::read(example().into(), &table).unwrap() };
        assert!(parcel.price(&Current { table: Arc::new(table), source: Source::Cached }).is_ok());
    }
}
