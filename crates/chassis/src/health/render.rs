//! The text of a probe, as the Kubernetes API server writes it.
//!
//! Reasons stay in the log: anyone who reaches the port can read a probe's body.
//!
//! Next: [`super::run`].

use std::fmt::Write;

use http::StatusCode;

/// How a probe shows one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Passed,
    /// A soft check is down; the probe passes.
    Degraded,
    /// The probe fails.
    Failed,
}

impl From<bool> for Outcome {
    fn from(passed: bool) -> Self {
        if passed { Self::Passed } else { Self::Failed }
    }
}

/// Query options of a probe: `?verbose`, and `exclude=NAME`, repeatable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Whether to list the checks even if all pass.
    pub verbose: bool,
    /// Names of checks to ignore.
    pub exclude: Vec<String>,
}

impl Options {
    /// Parses a query. Unknown options are ignored, and names are not percent-decoded, since no name needs it.
    #[must_use]
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let mut options = Self::default();
        for pair in query.unwrap_or_default().split('&') {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("verbose", value) => options.verbose = value != "false" && value != "0",
                ("exclude", name) if !name.is_empty() => options.exclude.push(name.to_owned()),
                _ => {}
            }
        }
        options
    }
}

/// The response of the probe `endpoint` (`readyz`): 200 and `ok`, or 503 with a line for each check. A single check
/// (`/readyz/NAME`) is a list of one.
#[must_use]
pub(crate) fn render(endpoint: &str, checks: &[(&str, Outcome)], options: &Options) -> (StatusCode, String) {
    let excluded = |name: &str| options.exclude.iter().any(|excluded| excluded == name);
    let failed = checks.iter().any(|(name, outcome)| *outcome == Outcome::Failed && !excluded(name));
    if !failed && !options.verbose {
        return (StatusCode::OK, "ok".into());
    }
    let mut body = String::new();
    for &(name, outcome) in checks {
        body.push_str(&line(name, outcome, excluded(name)));
    }
    body.push_str(&unmatched(checks, &options.exclude));
    let (status, verdict) =
        if failed { (StatusCode::SERVICE_UNAVAILABLE, "failed") } else { (StatusCode::OK, "passed") };
    let _ = writeln!(body, "{endpoint} check {verdict}");
    (status, body)
}

fn line(name: &str, outcome: Outcome, excluded: bool) -> String {
    match outcome {
        _ if excluded => format!("[+]{name} excluded: ok\n"),
        Outcome::Passed => format!("[+]{name} ok\n"),
        Outcome::Degraded => format!("[+]{name} degraded: reason withheld\n"),
        Outcome::Failed => format!("[-]{name} failed: reason withheld\n"),
    }
}

/// A name that excludes nothing is most likely misspelt.
fn unmatched(checks: &[(&str, Outcome)], exclude: &[String]) -> String {
    let known = |name: &String| checks.iter().any(|(check, _)| check == name);
    let unknown: Vec<_> = exclude.iter().filter(|name| !known(name)).map(|name| format!("{name:?}")).collect();
    if unknown.is_empty() {
        return String::new();
    }
    format!("warn: some health checks cannot be excluded: no matches for {}\n", unknown.join(","))
}
