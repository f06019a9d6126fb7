//! Rules on a JSON value, and what is found wrong with it.
//!
//! As in JSON Schema, a rule speaks of one kind of value, and others pass it.
//!
//! Next: [`super::numbers`].

use regex_lite::Regex;
use serde_json::{Map, Number, Value};

use super::{
    Program,
    formats::Format,
    numbers::{Range, is_multiple},
};
use crate::problem::{FieldError, extract::token};

/// 32: more than a form has fields, and the refusal of a list of a million stays small.
const MOST_ERRORS: usize = 32;

/// The rules of one place; none allows anything.
#[derive(Debug, Default)]
pub(super) struct Node(pub(super) Vec<Rule>);

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
    Pattern(Regex),
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
    pub(super) matching: Vec<(Regex, Node)>,
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
    fn fits(self, value: &Value) -> bool {
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

    const fn name(self) -> &'static str {
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

/// An error, and whether the value is of another shape: it decides which of several forms was meant.
type Finding = (FieldError, bool);

/// What is wrong so far.
#[derive(Debug)]
pub(super) struct Findings<'a> {
    program: &'a Program,
    /// The place of the value, as a JSON pointer.
    at: String,
    found: Vec<Finding>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(program: &'a Program) -> Self {
        Self { program, at: String::new(), found: Vec::new() }
    }

    pub(super) fn finish(self) -> Vec<FieldError> {
        self.found.into_iter().map(|(error, _)| error).collect()
    }

    pub(super) fn check(&mut self, node: &Node, value: &Value) {
        for rule in &node.0 {
            if self.found.len() >= MOST_ERRORS {
                return;
            }
            match rule {
                Rule::Types(types) if !types.iter().any(|one| one.fits(value)) => {
                    let names: Vec<_> = types.iter().filter(|one| **one != Type::Null).map(|one| one.name()).collect();
                    self.misfit("invalid", format!("expected {}", names.join(" or ")));
                    return;
                }
                rule => self.hold(rule, value),
            }
        }
    }

    fn hold(&mut self, rule: &Rule, value: &Value) {
        match (rule, value) {
            (Rule::Never, _) => self.misfit("invalid", "is not allowed".to_owned()),
            (Rule::Reference(at), value) => {
                let program = self.program;
                self.check(&program.definitions[*at], value);
            }
            (Rule::Choice(values), value) if !values.contains(value) => self.misfit("invalid", choice(values)),
            (Rule::Range(range), Value::Number(number)) if !range.contains(number) => {
                self.find("out_of_range", range.detail());
            }
            (Rule::MultipleOf(step), Value::Number(number)) if !is_multiple(number, step) => {
                self.find("out_of_range", format!("must be a multiple of {step}"));
            }
            (Rule::Length(span), Value::String(text)) => self.span(text.chars().count(), *span, "character"),
            (Rule::Pattern(pattern), Value::String(text)) if !pattern.is_match(text) => {
                self.find("invalid", format!("must match {pattern}"));
            }
            (Rule::Format(format), Value::String(text)) if !format.fits(text) => {
                self.find("invalid", format!("expected {}", format.name()));
            }
            (Rule::Count(span), Value::Array(items)) => self.span(items.len(), *span, "item"),
            (Rule::Unique, Value::Array(items)) if !is_unique(items) => {
                self.find("duplicate", "has an item twice".to_owned());
            }
            (Rule::Items { first, rest }, Value::Array(items)) => self.items(first, rest.as_ref(), items),
            (Rule::Object(object), Value::Object(fields)) => self.object(object, fields),
            (Rule::Fields(span), Value::Object(fields)) => self.span(fields.len(), *span, "field"),
            (Rule::All(nodes), value) => nodes.iter().for_each(|node| self.check(node, value)),
            (Rule::Any(nodes), value) => self.any(nodes, value),
            (Rule::Not(node), value) if self.apart(node, value).is_empty() => {
                self.find("invalid", "is not allowed".to_owned());
            }
            _ => {}
        }
    }

    /// The rule of a value that has the right shape.
    fn find(&mut self, code: &'static str, detail: String) {
        self.found.push((FieldError::new(self.at.as_str(), code, detail), false));
    }

    fn misfit(&mut self, code: &'static str, detail: String) {
        self.found.push((FieldError::new(self.at.as_str(), code, detail), true));
    }

    fn span(&mut self, length: usize, (least, most): Span, unit: &str) {
        let length = length as u64;
        if least.is_none_or(|least| length >= least) && most.is_none_or(|most| length <= most) {
            return;
        }
        let plural = if most.or(least) == Some(1) { "" } else { "s" };
        let amount = match (least, most) {
            (Some(least), Some(most)) if least == most => format!("exactly {least}"),
            (Some(least), Some(most)) => format!("{least} to {most}"),
            (Some(least), None) => format!("at least {least}"),
            (None, most) => format!("at most {}", most.unwrap_or_default()),
        };
        self.find("wrong_length", format!("must have {amount} {unit}{plural}"));
    }

    fn below(&mut self, name: &str, node: &Node, value: &Value) {
        let length = self.at.len();
        self.at.push_str(&token(name));
        self.check(node, value);
        self.at.truncate(length);
    }

    fn items(&mut self, first: &[Node], rest: Option<&Node>, items: &[Value]) {
        for (at, item) in items.iter().enumerate() {
            if let Some(node) = first.get(at).or(rest) {
                self.below(&at.to_string(), node, item);
            }
        }
    }

    fn object(&mut self, object: &Object, fields: &Map<String, Value>) {
        for (name, value) in fields {
            if let Some((_, node)) = object.named.iter().find(|(known, _)| known == name) {
                self.below(name, node, value);
            } else if let Some((_, node)) = object.matching.iter().find(|(pattern, _)| pattern.is_match(name)) {
                self.below(name, node, value);
            } else if let Some(node) = &object.others {
                self.other(name, node, value);
            }
            if let Some(names) = &object.names
                && !self.apart(names, &Value::String(name.clone())).is_empty()
            {
                self.field(name, "invalid", "has a name that is not allowed");
            }
        }
        for name in object.required.iter().filter(|name| !fields.contains_key(*name)) {
            self.field(name, "required", "is required");
        }
    }

    fn other(&mut self, name: &str, node: &Node, value: &Value) {
        match node.0.as_slice() {
            [Rule::Never] => self.field(name, "unknown", "is an unknown field"),
            _ => self.below(name, node, value),
        }
    }

    /// An object of another shape.
    fn field(&mut self, name: &str, code: &'static str, detail: &'static str) {
        self.found.push((FieldError::new(format!("{}{}", self.at, token(name)), code, detail), true));
    }

    /// What a node alone finds here.
    fn apart(&self, node: &Node, value: &Value) -> Vec<Finding> {
        let mut findings = Findings { program: self.program, at: self.at.clone(), found: Vec::new() };
        findings.check(node, value);
        findings.found
    }

    /// One of them is enough; otherwise the form with the fewest errors of shape was meant.
    fn any(&mut self, nodes: &[Node], value: &Value) {
        let mut nearest: Option<Vec<Finding>> = None;
        let misfits = |found: &[Finding]| found.iter().filter(|(_, misfit)| *misfit).count();
        for node in nodes {
            let found = self.apart(node, value);
            if found.is_empty() {
                return;
            }
            if nearest.as_ref().is_none_or(|nearest| misfits(&found) < misfits(nearest)) {
                nearest = Some(found);
            }
        }
        self.found.extend(nearest.unwrap_or_default());
    }
}

/// Whether no two items are equal; by their text, since a list may be long.
fn is_unique(items: &[Value]) -> bool {
    let mut seen = std::collections::HashSet::with_capacity(items.len());
    items.iter().all(|item| seen.insert(item.to_string()))
}

/// As serde says it.
fn choice(values: &[Value]) -> String {
    let quoted = |value: &Value| match value {
        Value::String(text) => format!("`{text}`"),
        value => format!("`{value}`"),
    };
    match values {
        [one] => format!("expected {}", quoted(one)),
        [one, two] => format!("expected {} or {}", quoted(one), quoted(two)),
        all => format!("expected one of {}", all.iter().map(quoted).collect::<Vec<_>>().join(", ")),
    }
}
