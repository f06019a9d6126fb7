//! Descriptions in another way than usual: of what may be absent, with another status, without problems.
//!
//! Next: [`super::super::Methods`].

use std::borrow::Cow;

use http::StatusCode;
use schemars::JsonSchema;
use serde_json::Value;

use super::Operation;
use crate::problem::Code;

/// The keys of `responses` that are no status.
const ANY: &str = "default";
const REDIRECTION: &str = "3XX";

/// The description of a response.
pub(super) fn phrase(key: &str) -> &'static str {
    match key {
        ANY => "Any status",
        REDIRECTION => "Redirection",
        status => status.parse().ok().and_then(|status: StatusCode| status.canonical_reason()).unwrap_or("Answered"),
    }
}

impl Operation<'_> {
    /// For GET, where a form is the query.
    pub(in crate::openapi) fn reads_forms_from_query(&mut self) {
        self.form_is_query = true;
    }

    /// Sets a form with the fields of `T` as the request body; for GET it is the query.
    pub fn form<T: JsonSchema>(&mut self) {
        if self.form_is_query {
            return self.query::<T>();
        }
        self.body::<T>("application/x-www-form-urlencoded");
        self.problem(Code::UnsupportedMediaType);
        self.problem(Code::InvalidFields);
    }

    /// Sets fields without a schema as the request body.
    pub fn object_body(&mut self, media_type: &str) {
        let body = self.body.insert(Value::Null);
        body["required"] = true.into();
        let schema = &mut body["content"][media_type]["schema"];
        schema["type"] = "object".into();
        // A part's name stands in a header, which has no control characters.
        schema["propertyNames"]["pattern"] = r"^[^\x00-\x1f\x7f]*$".into();
    }

    /// Runs `describe` for what a client may leave out.
    pub fn optional(&mut self, describe: impl FnOnce(&mut Self)) {
        let known = self.parameters.len();
        let body = self.body.take();
        describe(self);
        for parameter in self.parameters.iter_mut().skip(known).filter(|parameter| parameter["in"] != "path") {
            parameter.as_object_mut().and_then(|parameter| parameter.shift_remove("required"));
        }
        if let Some(body) = &mut self.body {
            body.as_object_mut().and_then(|body| body.shift_remove("required"));
        }
        self.body = self.body.take().or(body);
    }

    /// Runs `describe` without the problems that it adds.
    pub fn without_problems(&mut self, describe: impl FnOnce(&mut Self)) {
        let known = self.problems.len();
        describe(self);
        self.problems.truncate(known);
    }

    /// Runs `describe` for responses with `status`; the default is 200.
    pub fn with_status(&mut self, status: StatusCode, describe: impl FnOnce(&mut Self)) {
        self.with_key(status.as_str().to_owned().into(), describe);
    }

    /// Runs `describe` for responses whose status no type tells.
    pub fn with_any_status(&mut self, describe: impl FnOnce(&mut Self)) {
        self.with_key(Cow::Borrowed(ANY), describe);
    }

    /// Runs `describe` for responses with any of the statuses of a redirection.
    pub fn with_redirection(&mut self, describe: impl FnOnce(&mut Self)) {
        self.with_key(Cow::Borrowed(REDIRECTION), describe);
    }

    fn with_key(&mut self, key: Cow<'static, str>, describe: impl FnOnce(&mut Self)) {
        let usual = std::mem::replace(&mut self.status, key);
        describe(self);
        self.status = usual;
    }

    /// Runs `describe`, and then `header` for each response that it added.
    pub(in crate::openapi) fn with_headers(&mut self, describe: impl FnOnce(&mut Self), header: impl Fn(&mut Self)) {
        let known = std::mem::take(&mut self.answers);
        describe(self);
        let added: Vec<_> = self.answers.iter().map(|(status, _)| status.clone()).collect();
        for status in &added {
            self.with_key(status.clone(), &header);
        }
        self.answers.extend(known.into_iter().filter(|(status, _)| !added.contains(status)));
    }
}
