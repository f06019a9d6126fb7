//! Settings that must not start anything.

use super::*;
use crate::config::{keys::Keys, variables::name_of};

/// One environment variable: name, value, the key that is blamed, what is said.
const VARIABLES: &[(&str, &str, &str, &str)] = &[
    // Wrong types.
    ("APP__SERVER__REQUEST_TIMEOUT", "5", "server.request_timeout", "a duration such as 250ms"),
    ("APP__SERVER__REQUEST_TIMEOUT", "-5s", "server.request_timeout", "a duration such as 250ms"),
    ("APP__SERVER__REQUEST_TIMEOUT", "1.5s", "server.request_timeout", "a duration such as 250ms"),
    ("APP__SERVER__REQUEST_TIMEOUT", "9999999h", "server.request_timeout", "at most a year"),
    ("APP__SERVER__REQUEST_TIMEOUT", "99999999999999999999s", "server.request_timeout", "a duration"),
    ("APP__server__Request_Timeout", "soon", "server.request_timeout", "a duration"),
    ("APP__SERVER__MAX_BODY", "2MB", "server.max_body", "a size such as 512B"),
    ("APP__SERVER__MAX_BODY", "2000000", "server.max_body", "a size such as 512B"),
    ("APP__SERVER__MAX_BODY", "9999GiB", "server.max_body", "at most 1024GiB"),
    ("APP__SERVER__BACKLOG", "-1", "server.backlog", "a whole number from 0 to 4294967295"),
    ("APP__SERVER__BACKLOG", "4294967296", "server.backlog", "a whole number from 0 to 4294967295"),
    ("APP__SERVER__BACKLOG", "1e3", "server.backlog", "a whole number"),
    ("APP__SERVER__BACKLOG", "3.7", "server.backlog", "a whole number"),
    ("APP__SERVER__BACKLOG", "0071", "server.backlog", "a whole number"),
    ("APP__SERVER__BACKLOG", "", "server.backlog", "a whole number"),
    ("APP__SERVER__MAX_CONNECTIONS", "many", "server.max_connections", "`auto` or a whole number above zero"),
    ("APP__SERVER__MAX_CONNECTIONS", "0", "server.max_connections", "`auto` or a whole number above zero"),
    ("APP__SERVER__TRUSTED_PEERS", "10.0.0.0/8,10.0.0.0/99", "server.trusted_peers[1]", "invalid IP address syntax"),
    ("APP__ADMIN__MUTABLE", "yes", "admin.mutable", "`true` or `false`"),
    ("APP__ADMIN__MUTABLE", "1", "admin.mutable", "`true` or `false`"),
    ("APP__OVERLOAD__ENABLED", "TRUE", "overload.enabled", "`true` or `false`"),
    ("APP__TELEMETRY__SAMPLE_RATIO", "NaN", "telemetry.sample_ratio", "a number"),
    ("APP__TELEMETRY__SAMPLE_RATIO", "half", "telemetry.sample_ratio", "a number"),
    ("APP__TELEMETRY__LOG_FORMAT", "xml", "telemetry.log_format", "one of `auto`, `json`, `text`"),
    ("APP__TELEMETRY__OTLP_PROTOCOL", "http/json", "telemetry.otlp_protocol", "one of `grpc`, `http/protobuf`"),
    ("APP__LIFECYCLE__GRACE_PERIOD", "30", "lifecycle.grace_period", "a duration"),
    ("APP__APP__PORTS", "80,http", "app.ports[1]", "a whole number from 0 to 65535"),
    ("APP__APP__LIMITS__BURST", "256", "app.limits.burst", "a whole number from 0 to 255"),
    ("APP__APP__MODE", "odd", "app.mode", "one of `plain`, `fancy`"),
    ("APP__APP__NETWORK__NAME", "x", "app.network", "missing key: hops"),
    ("APP__APP__CHATTY", "hunter2", "app.chatty", "rejected; this key means: Of a type that tells too much."),
    ("APP__APP__CHATTY", "hun", "app.chatty", "rejected; this key means: Of a type that tells too much."),
    ("APP__APP__CHATTY", "7", "app.chatty", "expected nothing at all"),
    // Keys that are none.
    ("APP__SERVER", "x", "server", "expected a key of this section"),
    ("APP__SERVER__LISTN", "x", "server.listn", "did you mean server.listen?"),
    ("APP__SERVER_LISTEN", "x", "server_listen", "did you mean server.listen?"),
    ("APP__SERVER__DRAIN_TIMEOUT", "5s", "server.drain_timeout", "did you mean lifecycle.drain_timeout?"),
    ("APP__SERVER__BACKLOG__X", "5", "server.backlog.x", "did you mean server.backlog?"),
    ("APP__QUITE__SOMETHING__ELSE", "x", "quite.something.else", "unknown key"),
    ("APP__APP__LIMITS__BURTS", "1", "app.limits.burts", "did you mean app.limits.burst?"),
    ("APP__SERVER____LISTEN", "x", "", "expected a key, as in APP__SERVER__LISTEN"),
    ("APP_SERVER_LISTEN", "x", "", "is ignored; did you mean APP__SERVER__LISTEN?"),
    // Out of bounds.
    ("APP__SERVER__LISTEN", "", "server.listen", "expected at least one URL"),
    (
        "APP__SERVER__LISTEN",
        "8080",
        "server.listen[0]",
        "expected a URL such as http://[::]:8080; did you mean http://[::]:8080?",
    ),
    ("APP__SERVER__LISTEN", "0.0.0.0:9090", "server.listen[0]", "; did you mean http://0.0.0.0:9090?"),
    ("APP__SERVER__LISTEN", "http://[::]:80,:81", "server.listen[1]", "; did you mean http://[::]:81?"),
    ("APP__SERVER__LISTEN", "unix:/run/s", "server.listen[0]", "; did you mean http+unix:///run/s?"),
    ("APP__SERVER__LISTEN", "http://[::]", "server.listen[0]", "expected a port"),
    ("APP__SERVER__LISTEN", "http://[::]:80,http://[::]:80", "server.listen[1]", "is listed twice"),
    ("APP__SERVER__LISTEN", "ftp://[::]:80", "server.listen[0]", "expected the scheme http"),
    ("APP__SERVER__LISTEN", "fastcgi://[::]:80", "server.listen[0]", "rebuild with --features fastcgi"),
    ("APP__SERVER__LISTEN", "uwsgi+unix:///run/s", "server.listen[0]", "rebuild with --features uwsgi"),
    ("APP__SERVER__LISTEN", "fastcgi+fd://3", "server.listen[0]", "rebuild with --features fastcgi"),
    ("APP__SERVER__LISTEN", "http+unix://run/s", "server.listen[0]", "expected an absolute path"),
    ("APP__SERVER__LISTEN", "uwsgi:[::]:3031", "server.listen[0]", "; did you mean uwsgi://[::]:3031?"),
    ("APP__SERVER__UNIX_MODE", "rw", "server.unix_mode", "three octal digits"),
    ("APP__SERVER__UNIX_OWNER", ":", "server.unix_owner", "expected `user`"),
    ("APP__SERVER__BACKLOG", "0", "server.backlog", "above zero"),
    ("APP__SERVER__HEADER_TIMEOUT", "0", "server.header_timeout", "above zero"),
    ("APP__SERVER__IDLE_TIMEOUT", "0s", "server.idle_timeout", "above zero"),
    ("APP__SERVER__REQUEST_TIMEOUT", "0", "server.request_timeout", "above zero"),
    ("APP__SERVER__BODY_TIMEOUT", "0", "server.body_timeout", "above zero"),
    ("APP__SERVER__WRITE_TIMEOUT", "0", "server.write_timeout", "above zero"),
    ("APP__SERVER__MAX_BODY", "0B", "server.max_body", "above zero"),
    ("APP__ADMIN__LISTEN", "8081", "admin.listen", "expected an IP address and a port"),
    ("APP__ADMIN__LISTEN", "localhost:8081", "admin.listen", "0.0.0.0:8081; did you mean 127.0.0.1:8081?"),
    ("APP__ADMIN__LISTEN", "http://[::]:8081", "admin.listen", "expected an IP address and a port"),
    ("PORT", "0", "server.listen", "expected a port from 1 to 65535; APP__SERVER__LISTEN ranks above it"),
    ("PORT", "tcp://10.0.0.1:80", "server.listen", "expected a port from 1 to 65535"),
    ("PORT", "8081", "admin.listen", "the admin listener must have its own port"),
    ("APP__OVERLOAD__MAX_IN_FLIGHT", "0", "overload.max_in_flight", "above zero"),
    ("APP__OVERLOAD__QUEUE_TIMEOUT", "2s", "overload.queue_timeout", "hides overload"),
    ("APP__OVERLOAD__RETRY_AFTER", "0", "overload.retry_after", "above zero"),
    ("APP__TELEMETRY__SAMPLE_RATIO", "1.01", "telemetry.sample_ratio", "from 0 to 1"),
    ("APP__TELEMETRY__SAMPLE_RATIO", "-0.1", "telemetry.sample_ratio", "from 0 to 1"),
    ("APP__TELEMETRY__LOG_FILTER", "a=b=c", "telemetry.log_filter", "expected a level"),
    ("APP__TELEMETRY__OTLP_ENDPOINT", "https://c:4317", "telemetry.otlp_endpoint", "rebuild with --features tls"),
    ("APP__TELEMETRY__OTLP_ENDPOINT", "collector:4317", "telemetry.otlp_endpoint", "expected a URL"),
    ("APP__TELEMETRY__OTLP_ENDPOINT", "http://c:99999", "telemetry.otlp_endpoint", "expected a URL"),
    ("APP__RUNTIME__WORKER_THREADS", "1025", "runtime.worker_threads", "at most 1024"),
    ("APP__RUNTIME__WORK_THREADS", "99999", "runtime.work_threads", "at most 1024"),
    ("APP__APP__GREETING", "", "app.greeting", "not empty"),
    // The standard names.
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:4317", "telemetry.otlp_endpoint", "rebuild with --features tls"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "nowhere", "telemetry.traces.endpoint", "expected a URL"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "telemetry.otlp_protocol", "one of `grpc`, `http/protobuf`"),
    ("OTEL_TRACES_SAMPLER", "jaeger_remote", "telemetry.sample_ratio", "expected always_on"),
    ("OTEL_TRACES_SAMPLER", "parentbased_", "telemetry.sample_ratio", "expected always_on"),
    ("OTEL_TRACES_SAMPLER_ARG", "1.5", "telemetry.sample_ratio", "from 0 to 1"),
    ("OTEL_TRACES_SAMPLER_ARG", "-0.1", "telemetry.sample_ratio", "from 0 to 1"),
    ("OTEL_TRACES_SAMPLER_ARG", "NaN", "telemetry.sample_ratio", "from 0 to 1"),
    ("OTEL_SDK_DISABLED", "maybe", "telemetry.traces_exporter", "`true` or `false`"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:x@c:4317", "telemetry.otlp_endpoint", "credentials belong in headers"),
    ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "c:4317", "telemetry.logs.endpoint", "expected a URL"),
    ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json", "telemetry.logs.protocol", "one of `grpc`, `http/protobuf`"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c", "telemetry.otlp_headers", "invalid header name"),
    ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "a=%zz", "telemetry.logs.headers", "bad percent-encoding"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "telemetry.otlp_timeout", "expected milliseconds"),
    ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0", "telemetry.traces.timeout", "expected milliseconds"),
    ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "3600001", "telemetry.logs.timeout", "expected milliseconds"),
    ("OTEL_TRACES_EXPORTER", "zipkin", "telemetry.traces_exporter", "expected otlp, console or none"),
    ("OTEL_TRACES_EXPORTER", "otlp,console", "telemetry.traces_exporter", "expected otlp, console or none"),
    ("OTEL_LOGS_EXPORTER", "file", "telemetry.otlp_logs", "expected otlp, console or none"),
    ("APP__TELEMETRY__OTLP_ENDPOINT", "http://me@c:4317", "telemetry.otlp_endpoint", "credentials belong in headers"),
    ("APP__TELEMETRY__LOGS__TIMEOUT", "0s", "telemetry.logs.timeout", "above zero"),
];

#[test]
fn a_bad_variable_is_refused_by_key_and_name() {
    // A build with a door takes its URLs.
    let is_wrong = |says: &str| match says.split_once("--features ") {
        Some((_, "fastcgi")) => !cfg!(feature = "fastcgi"),
        Some((_, "uwsgi")) => !cfg!(feature = "uwsgi"),
        Some((_, "tls")) => !cfg!(feature = "tls"),
        _ => true,
    };
    for (name, value, key, says) in VARIABLES.iter().filter(|(_, _, _, says)| is_wrong(says)) {
        let errors = with_environment(&[(name, value)]).expect_err(name);
        let shown = errors.to_string();
        assert_eq!(errors.len(), 1, "{name}={value}: {shown}");
        assert!(shown.starts_with(key) && shown.contains(says), "{name}={value}: {shown}");
        assert!(shown.contains(&format!("environment variable {name}")), "{name}={value}: {shown}");
    }
}

/// A file: its name, its content, how the one problem starts, what it says.
const FILES: &[(&str, &str, &str, &str)] = &[
    ("a.toml", "[server]\nbacklog = 3.7", "server.backlog", "a whole number"),
    ("a.toml", "[server]\nbacklog = \"3\"", "server.backlog", "a whole number"),
    ("a.toml", "[server]\nbacklog = -3", "server.backlog", "a whole number"),
    ("a.toml", "[server]\nrequest_timeout = 5", "server.request_timeout", "a duration such as 250ms"),
    ("a.toml", "[server]\nrequest_timeout = true", "server.request_timeout", "a duration such as 250ms"),
    ("a.toml", "[server]\nmax_connections = \"4\"", "server.max_connections", "`auto` or a whole number"),
    ("a.toml", "[server]\nlisten = \"http://[::]:80\"", "server.listen", "a list"),
    ("a.toml", "[server]\nlisten = [80]", "server.listen[0]", "a string"),
    ("a.toml", "[admin]\nmutable = \"true\"", "admin.mutable", "`true` or `false`"),
    ("a.toml", "[telemetry]\nsample_ratio = nan", "telemetry.sample_ratio", "a number"),
    ("a.toml", "[telemetry]\nsample_ratio = inf", "telemetry.sample_ratio", "a number"),
    ("a.toml", "server = 5", "server", "expected a section"),
    ("a.toml", "[servr]\nlisten = []", "servr", "did you mean server?"),
    ("a.toml", "\"server.listen\" = []", "server.listen", "unknown key"),
    ("a.toml", "[app.labels]\nx = 5", "app.labels.x", "a string"),
    ("a.toml", "[app]\nports = [80, 70000]", "app.ports[1]", "a whole number from 0 to 65535"),
    ("a.toml", "[app.network]\nname = \"n\"\nhops = 1\nhop = 2", "app.network.hop", "did you mean app.network.hops?"),
    ("a.yaml", "server:\n  backlog: 1e3", "server.backlog", "a whole number"),
    ("a.yaml", "server:\n  backlog:", "server.backlog", "a whole number"),
    ("a.yaml", "app:\n  token: 0071", "app.token", "a string"),
    ("a.yml", "Server:\n  backlog: 1", "Server", "did you mean server?"),
    ("a.yaml", "server: [1, 2]", "server", "expected a section"),
    ("a.yaml", "overload:\n  max_in_flight: 99999999999999999999", "overload.max_in_flight", "a whole number"),
    ("a.toml", "[server]\nbacklog = \n", "file ", "is not valid TOML, at line 2"),
    ("a.toml", "[server]\nbacklog = 1\nbacklog = 2", "file ", "is not valid TOML, at line 3"),
    ("a.toml", "x = 99999999999999999999", "file ", "is not valid TOML"),
    ("a.yaml", "server:\n  - a\n  b: c\n", "file ", "is not valid YAML, at line 3"),
    ("a.yaml", "just words", "file ", "is not valid YAML"),
    ("a.yaml", "a: 1\n---\nb: 2\n", "file ", "is not valid YAML"),
    ("a.json", "{}", "file ", "expected a name that ends with .toml"),
    ("settings", "", "file ", "expected a name that ends with .toml"),
];

#[test]
fn a_bad_file_is_refused_by_key_and_file() {
    let directory = Directory::new();
    for (name, content, start, says) in FILES {
        let path = directory.write(name, content);
        let errors = load::<App>(&sources(&[], &[&path])).expect_err(content);
        let shown = errors.to_string();
        assert_eq!(errors.len(), 1, "{content}: {shown}");
        assert!(shown.starts_with(start) && shown.contains(says), "{content}: {shown}");
        assert!(shown.contains(&format!("file {}", path.display())), "{content}: {shown}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_refused_by_name() {
    let directory = Directory::new();
    fs::create_dir(directory.path().join("folder.toml")).unwrap();
    fs::write(directory.path().join("bytes.yaml"), b"\xff\xfe").unwrap();
    for (name, says) in
        [("absent.toml", "no such file"), ("folder.toml", "is a directory"), ("bytes.yaml", "is UTF-16 text")]
    {
        let path = directory.path().join(name);
        let shown = load::<App>(&sources(&[], &[&path])).expect_err(name).to_string();
        assert!(shown.starts_with(&format!("file {}: ", path.display())) && shown.contains(says), "{shown}");
    }
}

#[test]
fn a_contradiction_names_both_keys_with_their_sources() {
    let directory = Directory::new();
    let path = directory.write("a.toml", "[server]\nrequest_timeout = \"40s\"");
    let shown = load::<App>(&sources(&[], &[&path])).unwrap_err().to_string();
    assert!(shown.contains("lifecycle.drain_timeout: built-in default"), "{shown}");
    assert!(shown.contains(&format!("server.request_timeout: file {}", path.display())), "{shown}");

    for (pairs, says) in [
        (&[("APP__LIFECYCLE__GRACE_PERIOD", "38s")][..], "39s"),
        (&[("APP__LIFECYCLE__DRAIN_TIMEOUT", "29s")], "at least request_timeout"),
        (&[("APP__ADMIN__LISTEN", "0.0.0.0:8080")], "server.listen: built-in default"),
        (&[("APP__SERVER__MAX_URI", "64KiB")], "must not exceed max_head"),
        (&[("APP__TELEMETRY__OTLP_LOGS", "true")], "needs otlp_endpoint"),
    ] {
        let shown = with_environment(pairs).unwrap_err().to_string();
        assert!(shown.contains(says) && shown.contains(pairs[0].0) && shown.contains("built-in default"), "{shown}");
    }
}

/// A new process may take its whole start, and must not be given up before.
#[test]
fn a_restart_is_not_given_up_before_a_start_is() {
    let defaults = Settings::<App>::default();
    assert!(defaults.host.upgrade_timeout > defaults.lifecycle.start_timeout, "{defaults:?}");
    if !crate::host::AVAILABLE {
        // Nobody restarts there.
        settings(&[("APP__LIFECYCLE__START_TIMEOUT", "5m")]);
        return;
    }
    for (name, value) in [("APP__HOST__UPGRADE_TIMEOUT", "54s"), ("APP__LIFECYCLE__START_TIMEOUT", "61s")] {
        let shown = with_environment(&[(name, value)]).unwrap_err().to_string();
        assert!(shown.contains("upgrade_timeout must be at least lifecycle.start_timeout"), "{shown}");
        assert!(shown.contains(name) && shown.contains("built-in default"), "{shown}");
    }
    settings(&[("APP__HOST__UPGRADE_TIMEOUT", "55s")]);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let directory = Directory::new();
    let path = directory.write("a.toml", "[server]\nbacklog = 1.5\nnonsense = 1\n[overload]\nqueue_timeout = \"2s\"");
    let pairs = [
        ("APP__SERVER__REQUEST_TIMEOUT", "40x"),
        ("APP__ADMIN__MUTABLE", "maybe"),
        ("APP__APP__GREETING", ""),
        ("OTEL_TRACES_SAMPLER", "xray"),
    ];
    let absent = directory.path().join("absent.toml");
    let errors = load::<App>(&sources(&pairs, &[&path])).unwrap_err();
    assert_eq!(errors.len(), 7, "{errors}");
    assert_eq!(errors.to_string().lines().count(), 7);

    // What the missing file might have said is not held against the others.
    let errors = load::<App>(&sources(&pairs, &[&path, &absent])).unwrap_err();
    assert!(errors.to_string().contains("no such file"), "{errors}");
}

#[test]
fn a_wrong_value_is_no_contradiction_as_well() {
    let pairs = [("APP__SERVER__REQUEST_TIMEOUT", "40s"), ("APP__LIFECYCLE__DRAIN_TIMEOUT", "60")];
    let errors = with_environment(&pairs).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors}");
}

#[test]
fn no_error_repeats_a_value() {
    const SECRET: &str = "hunter2-secret";
    let directory = Directory::new();
    let names: Vec<String> = Keys::of::<App>().leaves().into_iter().map(|key| key.name).collect();
    assert!(names.len() > 45, "{names:?}");
    for key in &names {
        let variable = name_of(key);
        for value in [SECRET.to_owned(), format!("{SECRET},{SECRET}"), format!("http://u:{SECRET}@h:x/")] {
            let shown = with_environment(&[(&variable, &value)]).map_or_else(
                |errors| format!("{errors} {errors:?}"),
                |loaded| format!("{:?} {} {:?}", loaded.notes, loaded.hash, loaded.origins),
            );
            assert!(!shown.contains("hunter2"), "{key}: {shown}");
        }
        let (section, name) = key.split_once('.').unwrap();
        let (table, name) =
            name.rsplit_once('.').map_or((section.to_owned(), name), |(t, n)| (format!("{section}.{t}"), n));
        for value in
            [format!("\"{SECRET}\""), format!("[\"{SECRET}\"]"), format!("{{ x = \"{SECRET}\" }}"), SECRET.to_owned()]
        {
            let path = directory.write("a.toml", &format!("[{table}]\n{name} = {value}\n"));
            let shown =
                load::<App>(&sources(&[], &[&path])).map_or_else(|errors| format!("{errors:?}"), |_| String::new());
            assert!(!shown.contains("hunter2"), "{key}: {shown}");
        }
    }
    let path = directory.write("a.yaml", &format!("server:\n  listen: [{SECRET}\n"));
    let shown = load::<App>(&sources(&[], &[&path])).unwrap_err().to_string();
    assert!(!shown.contains("hunter2"), "{shown}");
}
