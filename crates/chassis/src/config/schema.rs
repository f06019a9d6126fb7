//! The settings' JSON Schema.
//!
//! Next: [`mod@super::reference`].

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::{AppSettings, Settings};

/// The JSON Schema (draft 2020-12) of the settings: every key with its default and meaning, and no other key allowed.
#[must_use]
pub fn schema<A: AppSettings>() -> Value {
    // Inlined: one tree with the shape of a settings file.
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Settings<A>>().to_value();
    close(&mut schema);
    tell_reloadable(&mut schema);
    if let Value::Object(root) = &mut schema {
        root.insert("title".into(), "Settings".into());
    }
    schema
}

/// Forbids unknown keys in every struct, and keeps defaults only on its keys.
fn close(node: &mut Value) {
    if let Value::Object(object) = node {
        if object.contains_key("properties") {
            object.remove("default");
            if !object.contains_key("additionalProperties") && !object.contains_key("unevaluatedProperties") {
                object.insert("additionalProperties".into(), false.into());
            }
        }
        if object.contains_key("writeOnly") {
            object.remove("default");
        }
    }
    match node {
        Value::Object(object) => object.values_mut().for_each(close),
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// The mark of a field or a section that a running replica can reload.
pub(super) const RELOADABLE: &str = "x-reloadable";

/// Adds the mark to the description too, for editors that show the schema.
fn tell_reloadable(node: &mut Value) {
    match node {
        Value::Object(object) => {
            if object.contains_key(RELOADABLE)
                && !object.contains_key("properties")
                && let Some(Value::String(meaning)) = object.get_mut("description")
            {
                meaning.push_str(" Reloadable.");
            }
            object.values_mut().for_each(tell_reloadable);
        }
        Value::Array(items) => items.iter_mut().for_each(tell_reloadable),
        _ => {}
    }
}
