//! What settings need beyond their types: bounds, and values that contradict each other.
//!
//! Nothing here looks at the machine: a port in use, or a host that does not resolve, is found when it is needed.
//!
//! Next: [`super::show`].

use std::net::SocketAddr;

use super::{
    Auto, Check, Duration, Problem, Problems, Settings, Size, doors,
    listen::{self, Address, Refusal},
};
use crate::{admin, host, lifecycle, overload, runtime, server, telemetry};

/// Checks the chassis' settings and, below `app`, the app's own.
pub(super) fn all<A: Check>(settings: &Settings<A>) -> Problems {
    let mut problems = Problems::default();
    settings.server.check(&mut problems);
    doors::check(&settings.server, &settings.tls, &mut problems);
    settings.lifecycle.check(&mut problems);
    settings.admin.check(&mut problems);
    settings.overload.check(&mut problems);
    settings.telemetry.check(&mut problems);
    settings.runtime.check(&mut problems);
    settings.host.check(&mut problems);
    ports(&settings.server, &settings.admin, &mut problems);
    drain(&settings.lifecycle, &settings.server, &mut problems);
    let mut own = Problems::default();
    settings.app.check(&mut own);
    problems.nest("app", own);
    problems
}

/// An app without settings has none to check.
impl Check for () {
    fn check(&self, _: &mut Problems) {}
}

impl Check for server::Settings {
    fn check(&self, problems: &mut Problems) {
        listen_urls(&self.listen, problems);
        problems.require(is_mode(&self.unix_mode), "server.unix_mode", "expected three octal digits, such as 0660");
        let owner = self.unix_owner.as_deref().is_none_or(is_owner);
        problems.require(owner, "server.unix_owner", "expected `user`, `user:group` or `:group`");
        problems.require(self.backlog > 0, "server.backlog", "expected a number above zero");
        for (key, timeout) in [
            ("server.header_timeout", self.header_timeout),
            ("server.idle_timeout", self.idle_timeout),
            ("server.request_timeout", self.request_timeout),
            ("server.body_timeout", self.body_timeout),
            ("server.write_timeout", self.write_timeout),
        ] {
            problems.require(timeout > Duration::default(), key, "expected a duration above zero");
        }
        let most = !matches!(self.max_connections, Auto::Value(connections) if connections > MOST);
        problems.require(most, "server.max_connections", "expected `auto`, or at most 1000000");
        problems.require(!self.max_body.is_empty(), "server.max_body", "expected a size above zero");
        problems.require(self.max_uploads > 0, "server.max_uploads", "expected a number above zero");
        problems.require(!self.max_upload_bytes.is_empty(), "server.max_upload_bytes", "expected a size above zero");
        problems.require(self.max_head >= Size::kib(1), "server.max_head", "expected a size of at least 1KiB");
        problems.require(!self.max_uri.is_empty(), "server.max_uri", "expected a size above zero");
        if self.max_uri > self.max_head {
            let message = "the request target is part of the head: max_uri may not exceed max_head";
            problems.push(Problem::between(["server.max_uri", "server.max_head"], message));
        }
    }
}

fn listen_urls(urls: &[String], problems: &mut Problems) {
    let key = "server.listen";
    problems.require(!urls.is_empty(), key, "expected one URL at least, such as http://[::]:8080");
    let mut before: Vec<Address> = Vec::new();
    for (index, url) in urls.iter().enumerate() {
        let at = format!("{key}[{index}]");
        match listen::parse(url) {
            Ok(listen) => {
                if before.iter().any(|other| listen.address.is_taken_by(other)) {
                    problems.push(Problem::new(at, "is listed twice"));
                }
                before.push(listen.address);
            }
            Err(Refusal::Shape(message)) => problems.push(Problem::new(at, message)),
            Err(Refusal::Features(features)) => {
                problems
                    .push(Problem::new(at, format!("this build has no such door: rebuild with --features {features}")));
            }
        }
    }
}

/// Three octal digits, with a zero before them or not.
fn is_mode(text: &str) -> bool {
    let digits = text.strip_prefix('0').filter(|rest| rest.len() == 3).unwrap_or(text);
    digits.len() == 3 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'))
}

fn is_owner(text: &str) -> bool {
    let name = |name: &str| !name.contains([':', '/', '\0']) && !name.contains(char::is_whitespace);
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    !(user.is_empty() && group.is_empty()) && name(user) && name(group)
}

impl Check for lifecycle::Settings {
    fn check(&self, problems: &mut Problems) {
        // 1 s: for what stands between the phases, on a busy machine.
        let margin = std::time::Duration::from_secs(1);
        let needed = self.drain_delay.get() + self.drain_timeout.get() + self.flush_timeout.get() + margin;
        if self.grace_period.is_some_and(|grace| grace.get() < needed) {
            let keys = ["grace_period", "drain_delay", "drain_timeout", "flush_timeout"];
            let keys = keys.map(|key| format!("lifecycle.{key}"));
            let needed = Duration::from_millis(needed.as_millis().try_into().unwrap_or(u64::MAX));
            let message = format!("the grace period must be at least the sum of the others and 1s: {needed}");
            problems.push(Problem::between(keys, message));
        }
    }
}

impl Check for admin::Settings {
    fn check(&self, problems: &mut Problems) {
        let message = "expected an IP address and a port, such as [::]:8081 or 0.0.0.0:8081";
        problems.require(self.listen.parse::<SocketAddr>().is_ok(), "admin.listen", message);
        for (key, timeout) in [
            ("admin.header_timeout", self.header_timeout),
            ("admin.body_timeout", self.body_timeout),
            ("admin.write_timeout", self.write_timeout),
            ("admin.request_timeout", self.request_timeout),
        ] {
            problems.require(timeout > Duration::default(), key, "expected a duration above zero");
        }
        for (index, name) in self.hosts.iter().enumerate() {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            let sane = !name.is_empty() && name.bytes().all(is_name);
            problems.require(sane, &format!("admin.hosts[{index}]"), "expected a host name, without a port");
        }
    }
}

/// 1,000,000: far beyond what a replica can work on; a slip of the hand would overflow a counter.
const MOST: usize = 1_000_000;

impl Check for overload::Settings {
    fn check(&self, problems: &mut Problems) {
        // A queue that waits for longer hides the overload from clients and autoscalers alike.
        let short = self.queue_timeout <= Duration::from_secs(1);
        problems.require(short, "overload.queue_timeout", "expected at most 1s: a longer wait hides overload");
        let sane = |limit: usize| (1..=MOST).contains(&limit);
        problems.require(
            sane(self.max_in_flight),
            "overload.max_in_flight",
            "expected a number above zero, at most 1000000",
        );
        let work = !matches!(self.work_max_in_flight, Auto::Value(limit) if !sane(limit));
        problems.require(
            work,
            "overload.work_max_in_flight",
            "expected `auto`, or a number above zero, at most 1000000",
        );
        let patient = self.retry_after > Duration::default();
        problems.require(patient, "overload.retry_after", "expected a duration above zero");
    }
}

impl Check for telemetry::Settings {
    fn check(&self, problems: &mut Problems) {
        for (key, message) in self.problems() {
            problems.push(Problem::new(key, message));
        }
        if self.otlp_logs && self.otlp_endpoint.is_none() {
            let keys = ["telemetry.otlp_logs", "telemetry.otlp_endpoint"];
            problems.push(Problem::between(keys, "logs over OTLP need an endpoint"));
        }
    }
}

impl Check for runtime::Settings {
    fn check(&self, problems: &mut Problems) {
        // 1,024: beyond any machine's CPUs; a slip of the hand would start as many threads.
        let sane = |threads: Auto<usize>| !matches!(threads, Auto::Value(threads) if threads > 1024);
        problems.require(sane(self.worker_threads), "runtime.worker_threads", "expected at most 1024");
        problems.require(sane(self.work_threads), "runtime.work_threads", "expected at most 1024");
    }
}

impl Check for host::Settings {
    fn check(&self, problems: &mut Problems) {
        let given = |text: &Option<String>| text.as_ref().is_none_or(|text| !text.trim().is_empty());
        if !host::AVAILABLE {
            let default = Self::default();
            for (key, unchanged) in [
                ("host.user", self.user == default.user),
                ("host.group", self.group == default.group),
                ("host.keep_capabilities", self.keep_capabilities == default.keep_capabilities),
                ("host.pid_file", self.pid_file == default.pid_file),
                ("host.upgrade_timeout", self.upgrade_timeout == default.upgrade_timeout),
            ] {
                problems.require(unchanged, key, "this build has no such setting: rebuild with --features host");
            }
            return;
        }
        problems.require(given(&self.user), "host.user", "expected a name or a number");
        problems.require(given(&self.group), "host.group", "expected a name or a number");
        problems.require(given(&self.pid_file), "host.pid_file", "expected a path");
        if self.group.is_some() && self.user.is_none() {
            problems.push(Problem::between(["host.group", "host.user"], "a group needs a user beside it"));
        }
        let patient = self.upgrade_timeout > Duration::default();
        problems.require(patient, "host.upgrade_timeout", "expected a duration above zero");
    }
}

fn ports(server: &server::Settings, admin: &admin::Settings, problems: &mut Problems) {
    let Ok(address) = admin.listen.parse::<SocketAddr>() else { return };
    let taken = |url: &String| listen::parse(url).is_ok_and(|url| url.address.fixed_port() == Some(address.port()));
    if server.listen.iter().any(taken) {
        let keys = ["admin.listen", "server.listen"];
        problems.push(Problem::between(keys, "the admin listener needs a port of its own"));
    }
}

fn drain(lifecycle: &lifecycle::Settings, server: &server::Settings, problems: &mut Problems) {
    if lifecycle.drain_timeout < server.request_timeout {
        let keys = ["lifecycle.drain_timeout", "server.request_timeout"];
        let message = "a drain must last as long as a request may: drain_timeout must be at least request_timeout";
        problems.push(Problem::between(keys, message));
    }
}
