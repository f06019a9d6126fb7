//! JSON Schemas of requests and responses, in one set of components.
//!
//! A type may differ between directions (a field with a default is optional in requests and present in responses), so
//! each has its own generator. A name with two shapes becomes two: `Thing` in responses, `ThingInput` in requests.
//!
//! Next: [`super::operation`].

use std::collections::BTreeSet;

use schemars::{
    JsonSchema, SchemaGenerator,
    generate::{Contract, SchemaSettings},
};
use serde_json::{Map, Value};

/// Where components' schemas are.
const PLACE: &str = "#/components/schemas/";

/// The generators of one document.
#[derive(Debug)]
pub(super) struct Schemas {
    request: SchemaGenerator,
    response: SchemaGenerator,
}

impl Schemas {
    pub(super) fn new() -> Self {
        Self { request: generator(Contract::Deserialize, false), response: generator(Contract::Serialize, false) }
    }

    /// A request type, inlined without references: for parameters.
    pub(super) fn inline<T: JsonSchema>() -> Value {
        generator(Contract::Deserialize, true).subschema_for::<T>().to_value()
    }

    /// A request type.
    pub(super) fn request<T: JsonSchema>(&mut self) -> Value {
        self.request.subschema_for::<T>().to_value()
    }

    /// A response type.
    pub(super) fn response<T: JsonSchema>(&mut self) -> Value {
        self.response.subschema_for::<T>().to_value()
    }

    /// All named schemas; references in `paths` to ambiguous names are rewritten.
    pub(super) fn finish(mut self, paths: &mut Value) -> Map<String, Value> {
        let mut all = self.response.take_definitions(true);
        let sent = self.request.take_definitions(true);
        let twice = ambiguous(&sent, &all);
        for (name, mut schema) in sent {
            rename(&mut schema, &twice);
            all.insert(if twice.contains(&name) { format!("{name}Input") } else { name }, schema);
        }
        for method in paths.as_object_mut().into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
            method
                .values_mut()
                .filter_map(|operation| operation.get_mut("requestBody"))
                .for_each(|body| rename(body, &twice));
        }
        all.values_mut().for_each(bound);
        bound(paths);
        all
    }
}

fn generator(contract: Contract, inline: bool) -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
        settings.inline_subschemas = inline;
        settings.contract = contract;
    });
    settings.into_generator()
}

/// Adds the bounds of Rust's wide integers; the narrow ones have them already. Without it, a number that matches the schema
/// could be refused.
fn bound(node: &mut Value) {
    if let Value::Object(object) = node {
        let reach = match object.get("format").and_then(Value::as_str) {
            Some("int32") => Some((i32::MIN.into(), i32::MAX.into())),
            Some("uint32") => Some((0.into(), u32::MAX.into())),
            Some("int64") => Some((i64::MIN.into(), i64::MAX.into())),
            Some("uint64" | "uint") => Some((0.into(), u64::MAX.into())),
            _ => None,
        };
        if let Some((least, most)) = reach {
            object.entry("minimum").or_insert(least);
            object.entry("maximum").or_insert(most);
        }
    }
    match node {
        Value::Object(object) => object.values_mut().for_each(bound),
        Value::Array(items) => items.iter_mut().for_each(bound),
        _ => {}
    }
}

/// Names whose schemas differ, and names on both sides that reference one of them.
fn ambiguous(sent: &Map<String, Value>, answered: &Map<String, Value>) -> BTreeSet<String> {
    let both = || sent.iter().filter_map(|(name, schema)| Some((name, schema, answered.get(name)?)));
    let mut twice: BTreeSet<String> = both().filter(|(_, a, b)| a != b).map(|(name, ..)| name.clone()).collect();
    loop {
        let refers = |schema: &Value| {
            let mut renamed = schema.clone();
            rename(&mut renamed, &twice);
            renamed != *schema
        };
        let more: Vec<String> = both()
            .filter(|(name, schema, _)| !twice.contains(*name) && refers(schema))
            .map(|(name, ..)| name.clone())
            .collect();
        if more.is_empty() {
            return twice;
        }
        twice.extend(more);
    }
}

/// Renames references to `names` to end in `Input`.
fn rename(schema: &mut Value, names: &BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get_mut("$ref")
                && reference.strip_prefix(PLACE).is_some_and(|name| names.contains(name))
            {
                reference.push_str("Input");
            }
            object.values_mut().for_each(|value| rename(value, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, names)),
        _ => {}
    }
}
