//! A value as it was written, before it has a type.
//!
//! Next: [`super::de`].

use std::{collections::BTreeMap, fmt};

use ::config::ValueKind;

use crate::values::Source;

/// A value as it was written; a [`Value::Variable`] gets its type from what it is read into.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    /// The text of an environment variable.
    Variable(String),
    List(Vec<Value>),
    Table(BTreeMap<String, Value>),
}

/// A value, where it belongs and where it came from.
#[derive(Clone, PartialEq)]
pub(super) struct Leaf {
    pub(super) path: Vec<String>,
    pub(super) value: Value,
    pub(super) source: Source,
}

/// Without the value: it may be a secret.
impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.key(), self.source)
    }
}

impl Leaf {
    /// The path, joined by dots.
    pub(super) fn key(&self) -> String {
        self.path.join(".")
    }

    /// A document with nothing but this.
    pub(super) fn alone(&self) -> Value {
        let mut document = Value::Table(BTreeMap::new());
        document.set(&self.path, self.value.clone());
        document
    }
}

impl Value {
    /// Sets `value` at `path`, creating tables and replacing other values on the way.
    pub(super) fn set(&mut self, path: &[String], value: Self) {
        let Some((first, rest)) = path.split_first() else {
            *self = value;
            return;
        };
        if !matches!(self, Self::Table(_)) {
            *self = Self::Table(BTreeMap::new());
        }
        if let Self::Table(table) = self {
            table.entry(first.clone()).or_insert(Self::Null).set(rest, value);
        }
    }

    /// All texts in it, to check that a message repeats none.
    pub(super) fn texts(&self) -> Vec<String> {
        match self {
            Self::Null => Vec::new(),
            Self::Bool(value) => vec![value.to_string()],
            Self::Integer(value) => vec![value.to_string()],
            Self::Float(value) => vec![value.to_string()],
            Self::Text(text) | Self::Variable(text) => vec![text.clone()],
            Self::List(items) => items.iter().flat_map(Self::texts).collect(),
            Self::Table(table) => table.values().flat_map(Self::texts).collect(),
        }
    }
}

impl From<::config::Value> for Value {
    fn from(value: ::config::Value) -> Self {
        match value.kind {
            ValueKind::Nil => Self::Null,
            ValueKind::Boolean(value) => Self::Bool(value),
            ValueKind::I64(value) => Self::Integer(value.into()),
            ValueKind::I128(value) => Self::Integer(value),
            ValueKind::U64(value) => Self::Integer(value.into()),
            // Beyond every integer type that a setting has.
            ValueKind::U128(value) => Self::Integer(value.try_into().unwrap_or(i128::MAX)),
            ValueKind::Float(value) => Self::Float(value),
            ValueKind::String(text) => Self::Text(text),
            ValueKind::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            ValueKind::Table(table) => Self::Table(table.into_iter().map(|(key, value)| (key, value.into())).collect()),
        }
    }
}
