//! A type's JSON Schema, compiled to rules.
//!
//! Next: [`super::rules`].

use serde_json::{Map, Number, Value};

use super::{
    Program,
    formats::Format,
    numbers::Range,
    pattern::Pattern,
    rules::{Node, Object, Rule, Span, Type},
};

/// Keywords that demand something, and that are not held.
const NOT_HELD: [&str; 10] = [
    "contains",
    "minContains",
    "maxContains",
    "if",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "unevaluatedItems",
    "$dynamicRef",
    "$recursiveRef",
];

/// Why a schema cannot be held.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unheld {
    #[error("`{0}`, which is not held on input")]
    Keyword(String),
    #[error("the pattern `{pattern}`, which is no pattern here: {error}")]
    Pattern { pattern: String, error: regex_lite::Error },
    #[error("`{0}: {1}`, which is not understood")]
    Value(String, Value),
}

/// The rules of `root`, or nothing if it has no bound beyond what serde holds.
pub(super) fn program(root: &Value, definitions: &Map<String, Value>) -> Result<Option<Program>, Unheld> {
    let mut compiler = Compiler { names: definitions.keys().map(String::as_str).collect(), bounded: false };
    let definitions: Vec<Node> = definitions.values().map(|schema| compiler.node(schema)).collect::<Result<_, _>>()?;
    let root = compiler.node(root)?;
    Ok(compiler.bounded.then_some(Program { root, definitions }))
}

struct Compiler<'a> {
    /// The definitions, by position.
    names: Vec<&'a str>,
    /// Whether there was a rule that serde does not hold anyway.
    bounded: bool,
}

type Schema = Map<String, Value>;

impl Compiler<'_> {
    fn node(&mut self, schema: &Value) -> Result<Node, Unheld> {
        let schema = match schema {
            Value::Object(schema) => schema,
            Value::Bool(true) => return Ok(Node::default()),
            _ => return Ok(Node(vec![Rule::Never])),
        };
        if let Some(keyword) = NOT_HELD.into_iter().find(|keyword| schema.contains_key(*keyword)) {
            return Err(Unheld::Keyword(keyword.to_owned()));
        }
        let mut rules = Vec::new();
        // First, since a value of another type is not looked at further.
        rules.extend(types(schema)?);
        rules.extend(self.reference(schema)?);
        rules.extend(choice(schema));
        self.number(schema, &mut rules)?;
        self.text(schema, &mut rules)?;
        self.array(schema, &mut rules)?;
        self.object(schema, &mut rules)?;
        self.forms(schema, &mut rules)?;
        Ok(Node(rules))
    }

    fn nodes(&mut self, schemas: &Value) -> Result<Vec<Node>, Unheld> {
        schemas.as_array().into_iter().flatten().map(|schema| self.node(schema)).collect()
    }

    fn reference(&self, schema: &Schema) -> Result<Option<Rule>, Unheld> {
        let Some(reference) = schema.get("$ref") else { return Ok(None) };
        let name = reference.as_str().and_then(|reference| reference.strip_prefix("#/$defs/"));
        let name = name.map(|name| name.replace("~1", "/").replace("~0", "~"));
        let at = name.and_then(|name| self.names.iter().position(|known| *known == name));
        at.map(|at| Some(Rule::Reference(at))).ok_or_else(|| Unheld::Value("$ref".into(), reference.clone()))
    }

    fn number(&mut self, schema: &Schema, rules: &mut Vec<Rule>) -> Result<(), Unheld> {
        let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
        let mut bound = |names: [&str; 2]| -> Result<Option<(Number, bool)>, Unheld> {
            for (keyword, included) in names.into_iter().zip([false, true]) {
                let Some(value) = schema.get(keyword) else { continue };
                let Value::Number(number) = value else { return Err(Unheld::Value(keyword.into(), value.clone())) };
                self.bounded |= !is_of_type(format, keyword, number);
                return Ok(Some((number.clone(), included)));
            }
            Ok(None)
        };
        let least = bound(["exclusiveMinimum", "minimum"])?;
        let most = bound(["exclusiveMaximum", "maximum"])?;
        if least.is_some() || most.is_some() {
            rules.push(Rule::Range(Range { least, most }));
        }
        match schema.get("multipleOf") {
            None => {}
            Some(Value::Number(step)) => rules.push(self.bound(Rule::MultipleOf(step.clone()))),
            Some(value) => return Err(Unheld::Value("multipleOf".into(), value.clone())),
        }
        Ok(())
    }

    fn text(&mut self, schema: &Schema, rules: &mut Vec<Rule>) -> Result<(), Unheld> {
        if let Some(span) = span(schema, "minLength", "maxLength")? {
            rules.push(self.bound(Rule::Length(span)));
        }
        if let Some(pattern) = schema.get("pattern") {
            rules.push(Rule::Pattern(self.pattern(pattern.as_str().unwrap_or_default())?));
        }
        let format = schema.get("format").and_then(Value::as_str).and_then(Format::named);
        rules.extend(format.map(|format| self.bound(Rule::Format(format))));
        Ok(())
    }

    fn array(&mut self, schema: &Schema, rules: &mut Vec<Rule>) -> Result<(), Unheld> {
        let first = schema.get("prefixItems").map(|schemas| self.nodes(schemas)).transpose()?.unwrap_or_default();
        if let Some(span) = span(schema, "minItems", "maxItems")? {
            // Of a tuple, serde holds it.
            self.bounded |= first.is_empty();
            rules.push(Rule::Count(span));
        }
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            rules.push(self.bound(Rule::Unique));
        }
        let rest = schema.get("items").map(|schema| self.node(schema)).transpose()?;
        if !first.is_empty() || rest.is_some() {
            rules.push(Rule::Items { first, rest });
        }
        Ok(())
    }

    fn object(&mut self, schema: &Schema, rules: &mut Vec<Rule>) -> Result<(), Unheld> {
        let mut object = Object::default();
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            object.required.extend(name.as_str().map(str::to_owned));
        }
        for (name, schema) in below(schema, "properties") {
            object.named.push((name.clone(), self.node(schema)?));
        }
        for (pattern, schema) in below(schema, "patternProperties") {
            // The names of a map whose keys are integers, which serde reads as such.
            let pattern = match pattern.as_str() {
                integers @ (r"^\d+$" | r"^-?\d+$") => compiled(integers)?,
                pattern => self.pattern(pattern)?,
            };
            object.matching.push((pattern, self.node(schema)?));
        }
        object.others = schema.get("additionalProperties").map(|schema| self.node(schema)).transpose()?;
        object.names = schema.get("propertyNames").map(|schema| self.node(schema)).transpose()?;
        self.bounded |= object.names.is_some();
        let Object { required, named, matching, others, names } = &object;
        if !(required.is_empty() && named.is_empty() && matching.is_empty() && others.is_none() && names.is_none()) {
            rules.push(Rule::Object(object));
        }
        if let Some(span) = span(schema, "minProperties", "maxProperties")? {
            rules.push(self.bound(Rule::Fields(span)));
        }
        Ok(())
    }

    /// Several schemas for one value. `oneOf` is taken as `anyOf`: serde takes the first form that fits.
    fn forms(&mut self, schema: &Schema, rules: &mut Vec<Rule>) -> Result<(), Unheld> {
        if let Some(schemas) = schema.get("allOf") {
            rules.push(Rule::All(self.nodes(schemas)?));
        }
        for schemas in ["anyOf", "oneOf"].into_iter().filter_map(|keyword| schema.get(keyword)) {
            rules.push(match constants(schemas) {
                Some(values) => Rule::Choice(values),
                None => Rule::Any(self.nodes(schemas)?),
            });
        }
        if let Some(schema) = schema.get("not") {
            let node = self.node(schema)?;
            rules.push(self.bound(Rule::Not(node)));
        }
        Ok(())
    }

    fn bound(&mut self, rule: Rule) -> Rule {
        self.bounded = true;
        rule
    }

    fn pattern(&mut self, pattern: &str) -> Result<Pattern, Unheld> {
        self.bounded = true;
        compiled(pattern)
    }
}

fn compiled(pattern: &str) -> Result<Pattern, Unheld> {
    Pattern::new(pattern).map_err(|error| Unheld::Pattern { pattern: pattern.to_owned(), error })
}

fn below<'a>(schema: &'a Schema, keyword: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    schema.get(keyword).and_then(Value::as_object).into_iter().flatten()
}

fn types(schema: &Schema) -> Result<Option<Rule>, Unheld> {
    let Some(value) = schema.get("type") else { return Ok(None) };
    let names = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let types = names.iter().map(|name| match name.as_str() {
        Some("null") => Ok(Type::Null),
        Some("boolean") => Ok(Type::Boolean),
        Some("integer") => Ok(Type::Integer),
        Some("number") => Ok(Type::Number),
        Some("string") => Ok(Type::Text),
        Some("array") => Ok(Type::Array),
        Some("object") => Ok(Type::Object),
        _ => Err(Unheld::Value("type".into(), name.clone())),
    });
    types.collect::<Result<_, _>>().map(|types| Some(Rule::Types(types)))
}

/// `const` and `enum`.
fn choice(schema: &Schema) -> Option<Rule> {
    let one = schema.get("const").map(|value| vec![value.clone()]);
    one.or_else(|| schema.get("enum").and_then(Value::as_array).cloned()).map(Rule::Choice)
}

/// The values of an enum whose variants have descriptions: a schema of one constant for each.
fn constants(schemas: &Value) -> Option<Vec<Value>> {
    schemas.as_array()?.iter().map(|schema| schema.get("const").cloned()).collect()
}

fn span(schema: &Schema, least: &str, most: &str) -> Result<Option<Span>, Unheld> {
    let read = |keyword: &str| match schema.get(keyword) {
        None => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| Unheld::Value(keyword.to_owned(), value.clone())),
    };
    let span = (read(least)?, read(most)?);
    Ok((span != (None, None)).then_some(span))
}

/// Whether a bound is that of Rust's integer type, which serde holds.
fn is_of_type(format: &str, keyword: &str, number: &Number) -> bool {
    let (least, most): (i128, i128) = match format {
        "uint8" => (0, u8::MAX.into()),
        "uint16" => (0, u16::MAX.into()),
        "uint32" => (0, u32::MAX.into()),
        "uint64" | "uint" | "uint128" => (0, u64::MAX.into()),
        "int8" => (i8::MIN.into(), i8::MAX.into()),
        "int16" => (i16::MIN.into(), i16::MAX.into()),
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        "int64" | "int" => (i64::MIN.into(), i64::MAX.into()),
        _ => return false,
    };
    number.as_i128() == Some(if keyword == "minimum" { least } else { most }) && !keyword.starts_with("exclusive")
}
