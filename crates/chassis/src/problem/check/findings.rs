//! What is found wrong with a value.
//!
//! Next: [`super::numbers`].

use serde_json::{Map, Value};

use super::{
    Program,
    numbers::is_multiple,
    rules::{Node, Object, Rule, Span, Type},
};
use crate::problem::{FieldError, extract::token};

/// 32: more than a form has fields, and the refusal of a list of a million stays small.
const MOST_ERRORS: usize = 32;

/// 3: a form in a form in a form, where each may be tried for each.
const NESTED: usize = 3;
/// 100,000: some milliseconds. Forms that a tag tells apart need none of it.
const MOST_DEEP: usize = 100_000;

/// An error, and whether the value is of another shape: it decides which of several forms was meant.
type Finding = (FieldError, bool);

/// One step into a value.
#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Field(&'a str),
    Item(usize),
}

/// What is wrong so far.
#[derive(Debug)]
pub(super) struct Findings<'a> {
    program: &'a Program,
    /// The place of the value. Most values are right, so it becomes a JSON pointer only for an error.
    at: Vec<Step<'a>>,
    found: Vec<Finding>,
    /// How many forms of a choice are open around the value, and how many checks there were this deep.
    choices: usize,
    deep: usize,
}

impl<'a> Findings<'a> {
    pub(super) fn new(program: &'a Program) -> Self {
        Self { program, at: Vec::new(), found: Vec::new(), choices: 0, deep: 0 }
    }

    pub(super) fn finish(self) -> Vec<FieldError> {
        self.found.into_iter().map(|(error, _)| error).collect()
    }

    pub(super) fn check(&mut self, node: &Node, value: &'a Value) {
        if self.choices >= NESTED {
            self.deep += 1;
            if self.deep > MOST_DEEP {
                return self.misfit("invalid", "has too many forms within forms to be checked".to_owned());
            }
        }
        for rule in &node.0 {
            if self.is_full() {
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

    fn hold(&mut self, rule: &Rule, value: &'a Value) {
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
        self.push(|findings| (FieldError::new(findings.pointer(), code, detail), false));
    }

    fn misfit(&mut self, code: &'static str, detail: String) {
        self.push(|findings| (FieldError::new(findings.pointer(), code, detail), true));
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

    fn push(&mut self, finding: impl FnOnce(&Self) -> Finding) {
        if !self.is_full() {
            self.found.push(finding(self));
        }
    }

    fn is_full(&self) -> bool {
        self.found.len() >= MOST_ERRORS
    }

    fn pointer(&self) -> String {
        let token = |step: &Step<'_>| match step {
            Step::Field(name) => token(name),
            Step::Item(at) => token(&at.to_string()),
        };
        self.at.iter().map(token).collect()
    }

    fn below(&mut self, step: Step<'a>, node: &Node, value: &'a Value) {
        self.at.push(step);
        self.check(node, value);
        self.at.pop();
    }

    fn items(&mut self, first: &[Node], rest: Option<&Node>, items: &'a [Value]) {
        for (at, item) in items.iter().enumerate() {
            if let Some(node) = first.get(at).or(rest) {
                self.below(Step::Item(at), node, item);
            }
        }
    }

    fn object(&mut self, object: &Object, fields: &'a Map<String, Value>) {
        let tags = object.named.iter().filter(|(_, node)| node.is_constant());
        for (name, node) in tags {
            let before = self.found.len();
            if let Some((name, value)) = fields.get_key_value(name) {
                self.below(Step::Field(name), node, value);
            }
            // Another form: what is below it says nothing, and may be large.
            if self.found.len() > before {
                return;
            }
        }
        for (name, value) in fields {
            if self.is_full() {
                return;
            }
            if let Some((_, node)) = object.named.iter().find(|(known, _)| known == name) {
                self.below(Step::Field(name), node, value);
            } else if let Some((_, node)) = object.matching.iter().find(|(pattern, _)| pattern.is_match(name)) {
                self.below(Step::Field(name), node, value);
            } else if let Some(node) = &object.others {
                self.other(name, node, value);
            }
            if let Some(names) = &object.names
                && !is_right(self.program, names, &Value::String(name.clone()))
            {
                self.field(name, "invalid", "has a name that is not allowed");
            }
        }
        for name in object.required.iter().filter(|name| !has(fields, name)) {
            self.field(name, "required", "is required");
        }
    }

    fn other(&mut self, name: &'a str, node: &Node, value: &'a Value) {
        match node.0.as_slice() {
            [Rule::Never] => self.field(name, "unknown", "is an unknown field"),
            _ => self.below(Step::Field(name), node, value),
        }
    }

    /// An object of another shape.
    fn field(&mut self, name: &str, code: &'static str, detail: &'static str) {
        self.push(|findings| (FieldError::new(format!("{}{}", findings.pointer(), token(name)), code, detail), true));
    }

    /// What a node alone finds here.
    fn apart(&mut self, node: &Node, value: &'a Value) -> Vec<Finding> {
        let before = std::mem::take(&mut self.found);
        self.choices += 1;
        self.check(node, value);
        self.choices -= 1;
        std::mem::replace(&mut self.found, before)
    }

    /// One of them is enough; otherwise the form with the fewest errors of shape was meant.
    fn any(&mut self, nodes: &[Node], value: &'a Value) {
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

fn has(fields: &Map<String, Value>, name: &str) -> bool {
    // 16: among so few a scan beats a hash.
    if fields.len() <= 16 { fields.keys().any(|known| known == name) } else { fields.contains_key(name) }
}

fn is_right(program: &Program, node: &Node, value: &Value) -> bool {
    let mut findings = Findings::new(program);
    findings.check(node, value);
    findings.found.is_empty()
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
