//! One method of one path, as the types of its handler describe it.
//!
//! Next: [`super::Methods`], which holds handlers and descriptions together.

mod variants;

use std::{any::type_name, borrow::Cow, collections::BTreeMap};

use http::StatusCode;
use schemars::JsonSchema;
use serde_json::{Map, Value};

use self::variants::phrase;
use super::{problems, schemas::Schemas};
use crate::{
    problem::{Code, check},
    values::Size,
};

/// An operation, filled by [`super::Input`] and [`super::Output`].
#[derive(Debug)]
pub struct Operation<'a> {
    schemas: &'a mut Schemas,
    /// The names in the path's braces, in order.
    names: Vec<String>,
    parameters: Vec<Value>,
    body: Option<Value>,
    /// The status of a response that does not set its own, as a key of `responses`.
    status: Cow<'static, str>,
    answers: Vec<(Cow<'static, str>, Value)>,
    problems: Vec<(StatusCode, &'static str)>,
    form_is_query: bool,
    /// The input types with bounds, and whether an extractor holds them.
    bounds: Vec<(&'static str, bool)>,
}

impl<'a> Operation<'a> {
    /// Holds the bounds of a handler's inputs from now on; returns the types whose bounds no extractor holds.
    pub(super) fn hold_bounds(describe: fn(&mut Operation<'_>)) -> Vec<&'static str> {
        let mut schemas = Schemas::new();
        let mut operation = Operation::new("", &mut schemas);
        describe(&mut operation);
        let held = |name: &str| operation.bounds.iter().any(|(known, held)| *known == name && *held);
        operation.bounds.iter().map(|(name, _)| *name).filter(|name| !held(name)).collect()
    }

    /// Holds the bounds of `T`, and says whether it has any.
    pub(super) fn hold<T: JsonSchema + 'static>(&mut self) -> bool {
        self.bounds.push((type_name::<T>(), true));
        check::hold::<T>()
    }

    /// States that the bounds of `T` are held by the extractor: for [`Input`](super::Input) of an app's own. Those of the
    /// chassis hold them already.
    pub fn holds<T: JsonSchema>(&mut self) {
        self.bounds.push((type_name::<T>(), true));
    }

    fn state<T: JsonSchema>(&mut self) {
        if check::bounded::<T>() {
            self.bounds.push((type_name::<T>(), false));
        }
    }

    pub(super) fn new(path: &str, schemas: &'a mut Schemas) -> Self {
        Self {
            schemas,
            names: names(path),
            parameters: Vec::new(),
            body: None,
            status: Cow::Borrowed("200"),
            answers: Vec::new(),
            problems: Vec::new(),
            form_is_query: false,
            bounds: Vec::new(),
        }
    }

    /// Adds the fields of `T` as query parameters.
    pub fn query<T: JsonSchema>(&mut self) {
        self.state::<T>();
        for (name, schema, required) in fields(&Schemas::inline::<T>()) {
            self.parameter("query", &name, schema, required);
        }
    }

    /// Adds `T` as path parameters: a struct by field names, a tuple or a single value by position.
    pub fn path<T: JsonSchema>(&mut self) {
        self.state::<T>();
        let schema = Schemas::inline::<T>();
        let fields = fields(&schema);
        for (position, name) in self.names.clone().into_iter().enumerate() {
            let by_name = || fields.iter().find(|(field, ..)| *field == name).map(|(_, schema, _)| schema.clone());
            let by_position = || schema.pointer(&format!("/prefixItems/{position}")).cloned();
            let of_one = || schema.get("prefixItems").is_none().then(|| schema.clone());
            let found = if fields.is_empty() { by_position().or_else(of_one) } else { by_name() };
            self.parameter("path", &name, found.unwrap_or(true.into()), true);
        }
    }

    /// A parameter in `place` (`query`, `path`, `header` or `cookie`), with a JSON Schema.
    pub fn parameter(&mut self, place: &str, name: &str, mut schema: Value, required: bool) {
        let description = schema.as_object_mut().and_then(|schema| schema.shift_remove("description"));
        let mut parameter = Value::Null;
        parameter["name"] = name.into();
        parameter["in"] = place.into();
        if let Some(description) = description {
            parameter["description"] = description;
        }
        if required {
            parameter["required"] = true.into();
        }
        if place == "query" && is_list(&schema) {
            // OpenAPI's default, said because other tools have others: `?tag=a&tag=b`.
            parameter["style"] = "form".into();
            parameter["explode"] = true.into();
        }
        parameter["schema"] = schema;
        self.parameters.push(parameter);
    }

    /// Sets `T` as the request body.
    pub fn body<T: JsonSchema>(&mut self, media_type: &str) {
        self.state::<T>();
        let schema = self.schemas.request::<T>();
        let body = self.body.insert(Value::Null);
        body["required"] = true.into();
        body["content"][media_type]["schema"] = schema;
    }

    /// Sets bytes or text as the request body.
    pub fn raw_body(&mut self, media_type: &str) {
        self.body.insert(Value::Null)["content"][media_type] = Map::new().into();
    }

    /// Says how large the body may be, where the route has a limit of its own, and whether it may be compressed.
    pub(super) fn bound_body(&mut self, limit: Option<Size>, is_decompressed: bool) {
        let limit = limit.map(|limit| format!("At most {limit}."));
        let coding = is_decompressed.then(|| "May be sent with `Content-Encoding: gzip`.".to_owned());
        let sentences: Vec<String> = limit.into_iter().chain(coding).collect();
        if let (false, Some(body)) = (sentences.is_empty(), &mut self.body) {
            body["description"] = sentences.join(" ").into();
        }
    }

    /// Adds a response with a `T`.
    pub fn answers<T: JsonSchema>(&mut self, media_type: &str) {
        let schema = self.schemas.response::<T>();
        self.answer()["content"][media_type]["schema"] = schema;
    }

    /// Adds a response with text of a media type.
    pub fn answers_text(&mut self, media_type: &str) {
        self.answer()["content"][media_type]["schema"]["type"] = "string".into();
    }

    /// Adds a response with arbitrary bytes.
    pub fn answers_bytes(&mut self, media_type: &str) {
        self.answer()["content"][media_type] = Map::new().into();
    }

    /// Adds a response without a body.
    pub fn answers_nothing(&mut self) {
        self.answer();
    }

    /// Adds a header to the responses with this status; the request id is always included.
    pub fn header(&mut self, name: &str, description: &str) {
        let header = &mut self.answer()["headers"][name];
        header["description"] = description.into();
        header["schema"]["type"] = "string".into();
    }

    /// Adds one of the platform's problems.
    pub fn problem(&mut self, code: Code) {
        self.custom_problem(code.status(), code.as_str());
    }

    /// Adds a problem of the app, as created by [`Problem::custom`](crate::problem::Problem::custom).
    pub fn custom_problem(&mut self, status: StatusCode, code: &'static str) {
        self.problems.push((status, code));
    }

    fn answer(&mut self) -> &mut Value {
        let known = self.answers.iter().position(|(status, _)| *status == self.status);
        let at = known.unwrap_or(self.answers.len());
        if known.is_none() {
            let mut answer = Value::Null;
            answer["description"] = phrase(&self.status).into();
            answer["headers"]["x-request-id"] = reference("headers", "RequestId");
            self.answers.push((self.status.clone(), answer));
        }
        &mut self.answers[at].1
    }

    /// By status; a handler's own response precedes problems with the same status. As text, the keys are in order: `3XX`
    /// is behind 308, and `default` behind all.
    fn responses(self) -> Map<String, Value> {
        let mut problems: BTreeMap<StatusCode, Vec<&str>> = BTreeMap::new();
        for (status, code) in self.problems {
            problems.entry(status).or_default().push(code);
        }
        let problems = problems.into_iter();
        let problems = problems.map(|(status, codes)| (status.as_str().to_owned(), problems::response(status, &codes)));
        let answers = self.answers.into_iter().map(|(status, answer)| (status.into_owned(), answer));
        let responses: BTreeMap<String, Value> = problems.chain(answers).collect();
        responses.into_iter().collect()
    }

    /// The operation object.
    pub(super) fn render(mut self, id: &str, about: &str) -> Value {
        let (summary, description) = split(about);
        let mut operation = Value::Null;
        operation["operationId"] = id.into();
        for (name, text) in [("summary", summary), ("description", description)] {
            if !text.is_empty() {
                operation[name] = text.into();
            }
        }
        self.parameters.push(reference("parameters", "RequestId"));
        operation["parameters"] = std::mem::take(&mut self.parameters).into();
        if let Some(body) = self.body.take() {
            operation["requestBody"] = body;
        }
        operation["responses"] = self.responses().into();
        operation
    }
}

/// A reference to one of the document's components.
pub(super) fn reference(kind: &str, name: &str) -> Value {
    let mut reference = Value::Null;
    reference["$ref"] = format!("#/components/{kind}/{name}").into();
    reference
}

/// The first sentence or paragraph, and the rest.
pub(super) fn split(about: &str) -> (&str, &str) {
    let (summary, description) = about.split_once("\n\n").unwrap_or((about, ""));
    (summary.trim(), description.trim())
}

/// The names in the braces of one of axum's paths.
fn names(path: &str) -> Vec<String> {
    let inner = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    inner.map(|name| name.trim_start_matches('*').to_owned()).collect()
}

fn is_list(schema: &Value) -> bool {
    match &schema["type"] {
        Value::Array(types) => types.iter().any(|name| name == "array"),
        name => name == "array",
    }
}

/// The fields of an object's schema: name, schema, and whether it is required.
fn fields(schema: &Value) -> Vec<(String, Value, bool)> {
    let required = |name: &String| {
        schema["required"].as_array().is_some_and(|names| names.iter().any(|required| required == name.as_str()))
    };
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    properties.iter().map(|(name, schema)| (name.clone(), schema.clone(), required(name))).collect()
}
