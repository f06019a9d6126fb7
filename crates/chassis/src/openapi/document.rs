//! The document: all operations of a router, and the components that they reference.
//!
//! Next: [`mod@super::schemas`].

use serde_json::{Map, Value};

use super::{
    methods::Described,
    operation::{Operation, split},
    platform, problems,
    schemas::Schemas,
    security,
};
use crate::problem::{Code, Problem};

/// What a document is made of.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// The title, and below an empty line the description.
    about: &'static str,
    version: String,
    routes: Vec<(String, Vec<Described>)>,
    /// The security schemes.
    schemes: Map<String, Value>,
}

impl Document {
    pub(super) fn new(about: &'static str, version: String, routes: Vec<(String, Vec<Described>)>) -> Self {
        let schemes = security::schemes(routes.iter().flat_map(|(_, described)| described));
        Self { about, version, routes, schemes }
    }

    /// The document of `OpenAPI` 3.1.
    pub(super) fn render(&self) -> Value {
        let mut schemas = Schemas::new();
        let mut paths: Value = self.paths(&mut schemas).into();
        schemas.response::<Problem>();
        let (title, description) = split(self.about);
        let mut document = platform::document();
        let info = &mut document["info"];
        let rules = info["description"].as_str().unwrap_or_default();
        let description = format!("{description}\n\n{rules}").trim_start().to_owned();
        info["title"] = title.into();
        info["version"] = self.version.as_str().into();
        info["description"] = description.into();
        let components = &mut document["components"];
        components["schemas"] = schemas.finish(&mut paths).into();
        components["responses"] = problems::components().into();
        if !self.schemes.is_empty() {
            components["securitySchemes"] = self.schemes.clone().into();
        }
        document["paths"] = paths;
        document
    }

    fn paths(&self, schemas: &mut Schemas) -> Map<String, Value> {
        let mut paths = Map::new();
        for (path, described) in &self.routes {
            for described in described {
                let mut operation = Operation::new(path, schemas);
                platform::ANYWHERE
                    .into_iter()
                    .chain(described.problems.iter().copied())
                    .for_each(|code| operation.problem(code));
                (described.types)(&mut operation);
                operation.bound_body(described.max_body, described.is_decompressed);
                let requirement = security::requirement(described);
                if requirement.is_some() {
                    operation.problem(Code::Unauthorized);
                    operation.problem(Code::Forbidden);
                }
                let mut rendered = operation.render(&id(described.method, path), described.about);
                if let Some(requirement) = requirement {
                    rendered["security"] = requirement;
                }
                paths.entry(path.replace("{*", "{")).or_insert_with(|| Map::new().into())[described.method] = rendered;
            }
        }
        paths
    }
}

/// The operation id, for generated clients: `postV1Quotes`, `getV1ThingsId`; `getRoot` for `/`.
fn id(method: &str, path: &str) -> String {
    let words = path.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let capitalised = words.map(|word| format!("{}{}", word[..1].to_ascii_uppercase(), &word[1..]));
    let name: String = capitalised.collect();
    format!("{method}{}", if name.is_empty() { "Root" } else { &name })
}
