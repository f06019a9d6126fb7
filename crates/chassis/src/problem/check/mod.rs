//! The bounds that a type declares with `schemars`, held on what a client sends.
//!
//! `#[schemars(range(…), length(…), regex(…))]` becomes part of a type's JSON Schema, and so of the API's description.
//! serde ignores it. Here the schema of each input type is compiled once, when its route is made, and held on every
//! value. Own code: the derives of `garde` and `validator` need a bound on each type and see no schema that was written
//! by hand, and the crate `jsonschema` brings thirty others for keywords that `schemars` never writes. A keyword that
//! is not held here stops the start, so no description has a bound that is not held.
//!
//! A type without bounds is not in the table, and costs one look-up. `required`, `enum` and unknown fields are serde's to
//! refuse; they are held here too where a type has a bound, so that a problem lists all that is wrong.
//!
//! Next: [`mod@compile`], from a schema to rules.

mod compile;
mod findings;
mod formats;
mod numbers;
mod parameters;
mod pattern;
mod rules;
#[cfg(test)]
mod tests;

use std::{
    any::{TypeId, type_name},
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{Arc, LazyLock},
};

use arc_swap::ArcSwap;
use schemars::{
    JsonSchema,
    generate::{Contract, SchemaSettings},
};
use serde_json::Value;

use self::{findings::Findings, rules::Node};
use super::{FieldError, form::DRAFT};

/// The rules of one type.
#[derive(Debug)]
pub(crate) struct Program {
    root: Node,
    /// The targets of references.
    definitions: Vec<Node>,
}

impl Program {
    /// All that is wrong with a value; empty if it is as described.
    pub(crate) fn check(&self, value: &Value) -> Vec<FieldError> {
        let mut findings = Findings::new(self);
        findings.check(&self.root, value);
        findings.finish()
    }
}

/// Who holds the rules of a type.
#[derive(Clone, Debug)]
enum Held {
    /// Its extractor, before a handler sees a value.
    Whole(Arc<Program>),
    /// A [`Draft`](super::Draft) at its end, with the errors that the app found.
    Draft(Arc<Program>),
}

type Table = HashMap<TypeId, Held, BuildHasherDefault<AsIs>>;

/// Each type with a bound.
static TABLE: LazyLock<ArcSwap<Table>> = LazyLock::new(ArcSwap::default);

/// The rules of `T`, if it has bounds and [`hold`] was called for it.
pub(super) fn of<T: 'static>() -> Option<Arc<Program>> {
    match TABLE.load().get(&TypeId::of::<T>()) {
        Some(Held::Whole(program)) => Some(Arc::clone(program)),
        Some(Held::Draft(_)) | None => None,
    }
}

/// The same for a draft.
pub(super) fn of_draft<T: 'static>() -> Option<Arc<Program>> {
    match TABLE.load().get(&TypeId::of::<T>()) {
        Some(Held::Draft(program)) => Some(Arc::clone(program)),
        Some(Held::Whole(_)) | None => None,
    }
}

/// Holds the bounds of `T` from now on, and says whether it has any.
///
/// # Panics
/// When its schema has a keyword that cannot be held.
pub(crate) fn hold<T: JsonSchema + 'static>() -> bool {
    let Some(program) = compiled::<T>().map(Arc::new) else { return false };
    let draft = T::schema_id().starts_with(DRAFT);
    TABLE.rcu(|table| {
        let program = Arc::clone(&program);
        let mut table = Table::clone(table);
        table.insert(TypeId::of::<T>(), if draft { Held::Draft(program) } else { Held::Whole(program) });
        table
    });
    true
}

/// Whether `T` has bounds.
///
/// # Panics
/// As [`hold`].
pub(crate) fn bounded<T: JsonSchema>() -> bool {
    compiled::<T>().is_some()
}

fn compiled<T: JsonSchema>() -> Option<Program> {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.contract = Contract::Deserialize);
    let mut generator = settings.into_generator();
    let root = generator.subschema_for::<T>().to_value();
    compile::program(&root, &generator.take_definitions(true))
        .unwrap_or_else(|error| panic!("the description of `{}` has {error}", type_name::<T>()))
}

/// A type's id is a hash already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
