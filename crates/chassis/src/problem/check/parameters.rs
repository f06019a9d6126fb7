//! Texts of a query or a path as the JSON values that they stand for, as their schema says.
//!
//! Next: [`crate::problem::extract`].

use serde_json::{Map, Number, Value};

use super::{
    Program,
    rules::{Node, Rule, Type},
};
use crate::problem::FieldError;

impl Program {
    /// Checks parameters by name; a list takes all values of its name.
    pub(crate) fn check_named<K: AsRef<str>, V: AsRef<str>>(
        &self,
        pairs: impl Iterator<Item = (K, V)>,
    ) -> Vec<FieldError> {
        let types = self.types(&self.root);
        if !types.is_empty() && !types.contains(&Type::Object) {
            // A list of pairs, of which the description says nothing.
            return Vec::new();
        }
        let mut fields = Map::new();
        for (name, text) in pairs {
            let name = name.as_ref();
            let Some(node) = self.field(&self.root, name) else {
                fields.insert(name.to_owned(), text.as_ref().into());
                continue;
            };
            match fields.get_mut(name) {
                Some(Value::Array(items)) => items.push(self.item(node, text.as_ref())),
                _ if self.types(node).contains(&Type::Array) => {
                    let item = self.item(node, text.as_ref());
                    fields.insert(name.to_owned(), Value::Array(vec![item]));
                }
                _ => drop(fields.insert(name.to_owned(), self.scalar(node, text.as_ref()))),
            }
        }
        self.check(&Value::Object(fields))
    }

    /// Checks the parameters of a path: by name for a struct, by position for a tuple, or the only one.
    pub(crate) fn check_path<'a>(&self, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<FieldError> {
        let types = self.types(&self.root);
        if types.contains(&Type::Object) {
            return self.check_named(pairs);
        }
        let pairs: Vec<_> = pairs.collect();
        if types.contains(&Type::Array) {
            let item = |(at, (_, text)): (usize, &(&str, &str))| {
                self.position(&self.root, at).map_or(Value::Null, |node| self.scalar(node, text))
            };
            let errors = self.check(&pairs.iter().enumerate().map(item).collect());
            let name = |at: &str| at.trim_start_matches('/').parse().ok().and_then(|at: usize| pairs.get(at));
            return errors
                .into_iter()
                .map(|error| renamed(error, |field| name(field).map(|(name, _)| *name)))
                .collect();
        }
        let Some((name, text)) = pairs.first() else { return Vec::new() };
        let errors = self.check(&self.scalar(&self.root, text));
        errors.into_iter().map(|error| renamed(error, |_| Some(name))).collect()
    }

    /// What a field's value has to be.
    fn field<'a>(&'a self, node: &'a Node, name: &str) -> Option<&'a Node> {
        self.find(node, &|rule| match rule {
            Rule::Object(object) => {
                let named = object.named.iter().find(|(known, _)| known == name).map(|(_, node)| node);
                named.or(object.others.as_ref())
            }
            _ => None,
        })
    }

    fn position<'a>(&'a self, node: &'a Node, at: usize) -> Option<&'a Node> {
        self.find(node, &|rule| match rule {
            Rule::Items { first, rest } => first.get(at).or(rest.as_ref()),
            _ => None,
        })
    }

    /// The first that `pick` picks, in the forms of a node and the definitions that it refers to.
    fn find<'a, T>(&'a self, node: &'a Node, pick: &dyn Fn(&'a Rule) -> Option<T>) -> Option<T> {
        node.0.iter().find_map(|rule| match rule {
            Rule::Reference(at) => self.find(&self.definitions[*at], pick),
            Rule::All(nodes) | Rule::Any(nodes) => nodes.iter().find_map(|node| self.find(node, pick)),
            rule => pick(rule),
        })
    }

    fn types(&self, node: &Node) -> Vec<Type> {
        let mut types = Vec::new();
        for rule in &node.0 {
            match rule {
                Rule::Reference(at) => types.extend(self.types(&self.definitions[*at])),
                Rule::All(nodes) | Rule::Any(nodes) => types.extend(nodes.iter().flat_map(|node| self.types(node))),
                Rule::Types(own) => types.extend(own),
                _ => {}
            }
        }
        types
    }

    fn item(&self, node: &Node, text: &str) -> Value {
        self.position(node, usize::MAX).map_or_else(|| text.into(), |node| self.scalar(node, text))
    }

    /// A text stays one where it does not read as another type.
    fn scalar(&self, node: &Node, text: &str) -> Value {
        let types = self.types(node);
        let is = |one| types.contains(&one);
        if is(Type::Text) {
            return text.into();
        }
        match text.parse() {
            Ok(truth) if is(Type::Boolean) => return Value::Bool(truth),
            _ => {}
        }
        match number(text) {
            Some(number) if is(Type::Integer) || is(Type::Number) => number.into(),
            _ => text.into(),
        }
    }
}

fn number(text: &str) -> Option<Number> {
    let integer = || text.parse::<i64>().ok().map(Number::from);
    let float = || text.parse::<f64>().ok().and_then(Number::from_f64);
    text.parse::<u64>().ok().map(Number::from).or_else(integer).or_else(float)
}

fn renamed<'a>(error: FieldError, name: impl FnOnce(&str) -> Option<&'a str>) -> FieldError {
    let field = name(&error.field).map_or_else(|| error.field.clone(), str::to_owned);
    FieldError { field, ..error }
}
