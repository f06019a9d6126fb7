//! What the access lines of a route have in common, rendered once for each version of HTTP: half of each line.
//!
//! Next: [`super::format`].

use std::sync::OnceLock;

use http::Version;

use super::{
    access::{AccessRecord, protocol},
    cut::{PATH, cut},
    format::{JsonFields, Name, Put, Value, name},
    json,
};

/// The constant fields of the lines of one route, method and status; empty until the first of them.
#[derive(Debug, Default)]
pub(crate) struct Constants([OnceLock<Box<Rendered>>; 5]);

#[derive(Debug, PartialEq, Eq)]
struct Rendered {
    /// As JSON, with the template as the path.
    text: Vec<u8>,
    /// Where the path begins and ends.
    path: (usize, usize),
}

impl Constants {
    /// Appends the fields of `record`, which must be one of them.
    pub(super) fn append(&self, line: &mut Vec<u8>, record: &AccessRecord<'_>) {
        let rendered = self.0[index(record.version)].get_or_init(|| Box::new(Rendered::new(record)));
        debug_assert_eq!(**rendered, Rendered::new(record), "a line of another route, method or status");
        if record.path == record.route {
            line.extend_from_slice(&rendered.text);
        } else {
            let (begin, end) = rendered.path;
            line.extend_from_slice(&rendered.text[..begin]);
            json::string(line, &cut(record.path, PATH));
            line.extend_from_slice(&rendered.text[end..]);
        }
    }
}

impl AccessRecord<'_> {
    pub(super) fn named(&self, fields: &mut impl Put) {
        fields.put(name!("http.request.method"), Value::Plain(self.method));
        fields.put(name!("http.route"), Value::Text(self.route));
    }

    pub(super) fn answered(&self, fields: &mut impl Put) {
        fields.put(name!("network.protocol.version"), Value::Plain(protocol(self.version)));
        fields.put(name!("http.response.status_code"), Value::Unsigned(self.status.as_u16().into()));
    }
}

impl Rendered {
    fn new(record: &AccessRecord<'_>) -> Self {
        let mut text = Vec::new();
        record.named(&mut JsonFields(&mut text));
        text.extend_from_slice(name!("url.path").json.as_bytes());
        let begin = text.len();
        json::string(&mut text, &cut(record.route, PATH));
        let end = text.len();
        record.answered(&mut JsonFields(&mut text));
        Self { text, path: (begin, end) }
    }
}

const fn index(version: Version) -> usize {
    match version {
        Version::HTTP_09 => 0,
        Version::HTTP_10 => 1,
        Version::HTTP_2 => 3,
        Version::HTTP_3 => 4,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;

    use super::*;
    use crate::request::TraceContext;

    #[test]
    fn each_path_and_version_is_in_its_own_line() {
        let (constants, trace) = (Constants::default(), TraceContext::default());
        let line = |path, version| {
            let record = AccessRecord {
                request_id: "r-1",
                trace: &trace,
                method: "GET",
                route: "/a\"",
                constants: &constants,
                path,
                version,
                status: StatusCode::OK,
                duration: Duration::ZERO,
                request_bytes: None,
                response_bytes: 0,
                client: None,
                user_agent: None,
            };
            let mut line = Vec::new();
            constants.append(&mut line, &record);
            String::from_utf8(line).unwrap()
        };
        for (path, written) in [("/a\"", r#"/a\""#), ("/b", "/b"), ("/a\"", r#"/a\""#)] {
            for (version, number) in [(Version::HTTP_11, "1.1"), (Version::HTTP_2, "2"), (Version::HTTP_10, "1.0")] {
                let expected = format!(
                    r#","http.request.method":"GET","http.route":"/a\"","url.path":"{written}","network.protocol.version":"{number}","http.response.status_code":200"#
                );
                assert_eq!(line(path, version), expected);
            }
        }
    }
}
