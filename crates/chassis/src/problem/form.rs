//! A JSON object read field by field, so that the problem lists every wrong field and not just the first.
//!
//! It does not know what a field means: the app reads it by name and type, and checks its range.
//!
//! Next: [`super::extract`].

use std::{borrow::Cow, cell::RefCell, marker::PhantomData, rc::Rc};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use super::{
    FieldError, Problem, check,
    extract::{shape_error, token, whole},
    objects,
};

/// A JSON value to be converted to a `T` field by field: any JSON is accepted, and the API description says `T`.
#[derive(Clone, Debug)]
pub struct Draft<T> {
    value: Value,
    of: PhantomData<fn() -> T>,
}

impl<T: 'static> Draft<T> {
    /// Its fields, to be taken out one by one.
    #[must_use]
    pub fn form(self) -> Form {
        let broken = self.broken();
        Form { broken, ..Form::new(self.value) }
    }

    /// The bounds that it breaks: those that the app does not check itself must be held too.
    fn broken(&self) -> Vec<FieldError> {
        check::of_draft::<Self>().map(|program| program.check(&self.value)).unwrap_or_default()
    }
}

impl<T> From<Value> for Draft<T> {
    fn from(value: Value) -> Self {
        Self { value, of: PhantomData }
    }
}

impl<'de, T> Deserialize<'de> for Draft<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from)
    }
}

/// How the schema id of a draft begins.
pub(super) const DRAFT: &str = "chassis::problem::Draft<";

/// That of `T`.
impl<T: JsonSchema> JsonSchema for Draft<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("{DRAFT}{}>", T::schema_id()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

/// 32: a client that sends more has them by the million, and the refusal stays small.
const MOST_UNKNOWN: usize = 32;

/// An object whose fields are read one by one; [`Form::finish`] returns all errors.
#[derive(Debug, Default)]
pub struct Form {
    at: String,
    /// In a list: an object has few of them, and a scan beats a hash.
    fields: Vec<(String, Value)>,
    /// False if the object itself was missing or invalid, which is reported once and not for each of its fields.
    present: bool,
    errors: Rc<RefCell<Vec<FieldError>>>,
    /// The bounds of its description that it breaks.
    broken: Vec<FieldError>,
}

impl Form {
    /// Reads `value`, which should be an object.
    #[must_use]
    pub fn new(mut value: Value) -> Self {
        whole(&mut value);
        Self::at(String::new(), Some(value), Rc::default())
    }

    fn at(at: String, value: Option<Value>, errors: Rc<RefCell<Vec<FieldError>>>) -> Self {
        let wrong = match value {
            Some(Value::Object(fields)) => {
                let fields = fields.into_iter().collect();
                return Self { at, fields, present: true, errors, broken: Vec::new() };
            }
            Some(_) => FieldError::new(at.as_str(), "invalid", "expected an object"),
            None => FieldError::new(at.as_str(), "required", "is required"),
        };
        errors.borrow_mut().push(wrong);
        Self { at, fields: Vec::new(), present: false, errors, broken: Vec::new() }
    }

    /// Reads a required field.
    pub fn require<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        match self.take(name) {
            Some(value) => self.read(name, value),
            None if self.present => self.reject(name, "required", "is required"),
            None => None,
        }
    }

    /// Reads an optional or null field.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        match self.take(name) {
            None | Some(Value::Null) => None,
            Some(value) => self.read(name, value),
        }
    }

    /// Reads a required object, to be read likewise and closed.
    #[must_use]
    pub fn object(&mut self, name: &str) -> Self {
        if !self.present {
            return Self { present: false, errors: Rc::clone(&self.errors), ..Self::default() };
        }
        let value = self.take(name);
        Self::at(self.pointer(name), value, Rc::clone(&self.errors))
    }

    /// Records an error of the field; returns `None`, for use in a match arm.
    pub fn reject<T>(&mut self, name: &str, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Option<T> {
        let error = FieldError::new(self.pointer(name), code, detail);
        self.errors.borrow_mut().push(error);
        None
    }

    /// Finishes a nested object: unread fields are errors.
    pub fn close(mut self) {
        self.reject_unknown();
    }

    fn reject_unknown(&mut self) {
        for (name, _) in std::mem::take(&mut self.fields).into_iter().take(MOST_UNKNOWN) {
            self.reject::<()>(&name, "unknown", "is an unknown field");
        }
    }

    /// Finishes: 422 with all errors, including those of nested objects, of unread fields, and of bounds in the
    /// description that the app did not check itself.
    ///
    /// # Errors
    /// A problem when any field was wrong.
    pub fn finish(mut self) -> Result<(), Problem> {
        self.reject_unknown();
        let mut errors = self.errors.take();
        for broken in self.broken {
            if errors.iter().all(|known| known.field != broken.field) {
                errors.push(broken);
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Problem::invalid_fields(errors)) }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.fields.iter().position(|(known, _)| known == name)?;
        Some(self.fields.swap_remove(at).1)
    }

    fn read<T: DeserializeOwned>(&mut self, name: &str, value: Value) -> Option<T> {
        match objects::read(value) {
            Ok(value) => Some(value),
            Err(error) => {
                let error = shape_error(&self.pointer(name), &error.to_string());
                self.errors.borrow_mut().push(error);
                None
            }
        }
    }

    fn pointer(&self, name: &str) -> String {
        [self.at.as_str(), &token(name)].concat()
    }
}
