//! Rules on a JSON value. As in JSON Schema, a rule speaks of one kind of value, and others pass it.
//!
//! Next: [`super::findings`].

use serde_json::{Number, Value};

use super::{formats::Format, numbers::Range, pattern::Pattern};

/// The rules of one place; none allows anything.
#[derive(Debug, Default)]
pub(super) struct Node(pub(super) Vec<Rule>);

impl Node {
    /// Whether one value alone is allowed, as for the tag of an enum.
    pub(super) fn is_constant(&self) -> bool {
        self.0.iter().any(|rule| matches!(rule, Rule::Choice(values) if values.len() == 1))
    }
}

/// From, to, both included.
pub(super) type Span = (Option<u64>, Option<u64>);

#[derive(Debug)]
pub(super) enum Rule {
    /// Nothing is allowed here.
    Never,
    /// The rules of a definition.
    Reference(usize),
    Types(Vec<Type>),
    /// One of these values.
    Choice(Vec<Value>),
    Range(Range),
    MultipleOf(Number),
    /// In characters.
    Length(Span),
    Pattern(Pattern),
    Format(Format),
    /// How many items.
    Count(Span),
    Unique,
    Items {
        first: Vec<Node>,
        rest: Option<Node>,
    },
    Object(Object),
    /// How many fields.
    Fields(Span),
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Node),
}

#[derive(Debug, Default)]
pub(super) struct Object {
    pub(super) required: Vec<String>,
    pub(super) named: Vec<(String, Node)>,
    /// Fields whose names match.
    pub(super) matching: Vec<(Pattern, Node)>,
    /// All other fields; none allows them.
    pub(super) others: Option<Node>,
    /// The names themselves.
    pub(super) names: Option<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Null,
    Boolean,
    Integer,
    Number,
    Text,
    Array,
    Object,
}

impl Type {
    pub(super) fn fits(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Null, Value::Null)
            | (Self::Boolean, Value::Bool(_))
            | (Self::Number, Value::Number(_))
            | (Self::Text, Value::String(_))
            | (Self::Array, Value::Array(_))
            | (Self::Object, Value::Object(_)) => true,
            // `800.0` is an integer: draft 2020-12, section 6.1.1.
            (Self::Integer, Value::Number(number)) => {
                !number.is_f64() || number.as_f64().is_some_and(|float| float.fract() == 0.0)
            }
            _ => false,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Text => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}
