//! Bad settings stop the start with exit 78 and a message that names the key and where it was set.

use crate::harness::{
    Scratch, free_port,
    server::{Server, run_to_exit},
    shared,
};

/// A variable, its bad value, and the key that the message names.
const VARIABLES: [(&str, &str, &str); 44] = [
    ("APP__SERVER__REQUEST_TIMEOUT", "five", "server.request_timeout"),
    ("APP__SERVER__REQUEST_TIMEOUT", "-5s", "server.request_timeout"),
    ("APP__SERVER__REQUEST_TIMEOUT", "5", "server.request_timeout"),
    ("APP__SERVER__REQUEST_TIMEOUT", "1.5s", "server.request_timeout"),
    ("APP__SERVER__REQUEST_TIMEOUT", "99999999999999999999s", "server.request_timeout"),
    ("APP__SERVER__IDLE_TIMEOUT", "two minutes", "server.idle_timeout"),
    ("APP__SERVER__BACKLOG", "-1", "server.backlog"),
    ("APP__SERVER__BACKLOG", "4294967296", "server.backlog"),
    ("APP__SERVER__BACKLOG", "many", "server.backlog"),
    ("APP__SERVER__MAX_CONNECTIONS", "0", "server.max_connections"),
    ("APP__SERVER__MAX_CONNECTIONS", "-3", "server.max_connections"),
    ("APP__SERVER__MAX_CONNECTIONS", "1.5", "server.max_connections"),
    ("APP__SERVER__MAX_CONNECTIONS", "18446744073709551615", "server.max_connections"),
    ("APP__SERVER__MAX_BODY", "2MB", "server.max_body"),
    ("APP__SERVER__MAX_BODY", "20000000000GiB", "server.max_body"),
    ("APP__SERVER__MIN_RATE", "-1B", "server.min_rate"),
    ("APP__SERVER__MAX_REQUESTS_PER_CONNECTION", "-1", "server.max_requests_per_connection"),
    ("APP__SERVER__MAX_REQUESTS_PER_CONNECTION", "18446744073709551616", "server.max_requests_per_connection"),
    ("APP__SERVER__LISTEN", "ftp://127.0.0.1:0", "server.listen"),
    ("APP__SERVER__LISTEN", "http://127.0.0.1:99999", "server.listen"),
    ("APP__SERVER__LISTEN", "127.0.0.1:8080", "server.listen"),
    ("APP__SERVER__LISTEN", "https://127.0.0.1:0", "server.listen"),
    ("APP__SERVER__LISTEN", "fastcgi://127.0.0.1:0", "server.listen"),
    ("APP__SERVER__TRUSTED_PEERS", "10.0.0.0/99", "server.trusted_peers"),
    ("APP__SERVER__TRUSTED_PEERS", "10.0.0.0/8,somewhere", "server.trusted_peers"),
    ("APP__SERVER__NO_SUCH_KEY", "1", "server.no_such_key"),
    ("APP__SERVR__LISTEN", "http://127.0.0.1:0", "servr"),
    ("APP__SERVER_LISTEN", "http://127.0.0.1:0", "APP__SERVER_LISTEN"),
    ("APP__LIFECYCLE__DRAIN_TIMEOUT", "1s", "lifecycle.drain_timeout"),
    ("APP__LIFECYCLE__GRACE_PERIOD", "1s", "lifecycle.grace_period"),
    ("APP__LIFECYCLE__FLUSH_TIMEOUT", "soon", "lifecycle.flush_timeout"),
    ("APP__ADMIN__LISTEN", "nowhere", "admin.listen"),
    ("APP__ADMIN__MUTABLE", "perhaps", "admin.mutable"),
    ("APP__OVERLOAD__MAX_IN_FLIGHT", "-1", "overload.max_in_flight"),
    ("APP__OVERLOAD__MAX_IN_FLIGHT", "18446744073709551615", "overload.max_in_flight"),
    ("APP__OVERLOAD__WORK_MAX_IN_FLIGHT", "18446744073709551615", "overload.work_max_in_flight"),
    ("APP__TELEMETRY__LOG_FORMAT", "xml", "telemetry.log_format"),
    ("APP__TELEMETRY__LOG_FILTER", "info,service=loud", "telemetry.log_filter"),
    ("APP__TELEMETRY__SAMPLE_RATIO", "1.5", "telemetry.sample_ratio"),
    ("APP__TELEMETRY__SAMPLE_RATIO", "NaN", "telemetry.sample_ratio"),
    ("APP__TELEMETRY__OTLP_ENDPOINT", "not a URL", "telemetry.otlp_endpoint"),
    ("APP__TELEMETRY__OTLP_PROTOCOL", "pigeon", "telemetry.otlp_protocol"),
    ("APP__RUNTIME__WORKER_THREADS", "0", "runtime.worker_threads"),
    ("APP__APP__RATES_URL", "rates", "app.rates_url"),
];

/// A file's name, its content, and the key that the message names (none where the whole file is unusable).
const FILES: [(&str, &str, &str); 13] = [
    ("unknown.toml", "[server]\nno_such_key = 1\n", "server.no_such_key"),
    ("unknown.yaml", "app:\n  no_such_key: 1\n", "app.no_such_key"),
    ("section.toml", "[servers]\nbacklog = 1\n", "servers"),
    ("type.toml", "[server]\nbacklog = \"many\"\n", "server.backlog"),
    ("fraction.toml", "[server]\nmax_requests_per_connection = 3.7\n", "server.max_requests_per_connection"),
    ("shape.yaml", "lifecycle: 5s\n", "lifecycle"),
    ("syntax.toml", "[server\n", ""),
    ("syntax.yaml", "server: [\n", ""),
    ("twice.toml", "[server]\nbacklog = 1\nbacklog = 2\n", ""),
    ("overflow.yaml", "server:\n  backlog: 99999999999999999999\n", "server.backlog"),
    ("negative.toml", "[overload]\nmax_in_flight = -1\n", "overload.max_in_flight"),
    ("url.yaml", "app:\n  rates_url: rates\n", "app.rates_url"),
    ("format.ini", "backlog=1\n", ""),
];

#[tokio::test]
async fn every_bad_variable_is_refused_by_key_and_source() {
    let _turn = shared().await;
    for (variable, value, key) in VARIABLES {
        let refused = run_to_exit(&[], &[(variable, value)]).await;
        assert_eq!(refused.code, 78, "{variable}={value}: {}", refused.text);
        for part in [key, variable] {
            assert!(refused.text.contains(part), "{variable}={value}: no {part} in: {}", refused.text);
        }
    }
}

#[tokio::test]
async fn every_bad_file_is_refused_by_key_and_source() {
    let _turn = shared().await;
    let scratch = Scratch::new("settings");
    for (name, content, key) in FILES {
        let file = scratch.write(name, content);
        let refused = run_to_exit(&["--config", file.to_str().expect("a path in UTF-8")], &[]).await;
        assert_eq!(refused.code, 78, "{name}: {}", refused.text);
        for part in [key, name] {
            assert!(refused.text.contains(part), "{name}: no {part} in: {}", refused.text);
        }
    }
    let directory = scratch.path().join("a-directory.toml");
    std::fs::create_dir(&directory).expect("creating a directory");
    // Unreadable to every user, root among them.
    let circle = scratch.path().join("circle.toml");
    std::os::unix::fs::symlink("circle.toml", &circle).expect("linking");
    let bytes = scratch.path().join("bytes.yaml");
    std::fs::write(&bytes, b"\xff\xfe").expect("writing");
    for unreadable in [directory, circle, bytes, scratch.path().join("missing.toml")] {
        let path = unreadable.to_str().expect("a path in UTF-8");
        let refused = run_to_exit(&["--config", path], &[]).await;
        assert_eq!(refused.code, 78, "{path}: {}", refused.text);
        assert!(refused.text.contains(path), "{path}: {}", refused.text);
    }
}

/// Settings that contradict each other, and the keys that the message names with their sources.
const CONTRADICTIONS: [(&str, &str, &[&str]); 6] = [
    ("APP__LIFECYCLE__DRAIN_TIMEOUT", "2s", &["lifecycle.drain_timeout", "server.request_timeout"]),
    ("APP__SERVER__REQUEST_TIMEOUT", "6s", &["lifecycle.drain_timeout", "server.request_timeout"]),
    ("APP__LIFECYCLE__GRACE_PERIOD", "9s", &["lifecycle.grace_period", "lifecycle.drain_delay"]),
    ("APP__SERVER__MAX_URI", "64KiB", &["server.max_uri", "server.max_head"]),
    ("APP__TELEMETRY__OTLP_LOGS", "true", &["telemetry.otlp_logs", "telemetry.otlp_endpoint"]),
    ("APP__APP__RATES_CLIENT__TIMEOUT", "1ms", &["app.rates_client.timeout", "app.rates_client.connect_timeout"]),
];

#[tokio::test]
async fn a_contradiction_names_every_key_and_its_source() {
    let _turn = shared().await;
    for (variable, value, keys) in CONTRADICTIONS {
        let refused = run_to_exit(&[], &[(variable, value)]).await;
        assert_eq!(refused.code, 78, "{variable}={value}: {}", refused.text);
        for part in keys.iter().chain(&[variable]) {
            assert!(refused.text.contains(part), "{variable}={value}: no {part} in: {}", refused.text);
        }
    }
    let same = [("APP__SERVER__LISTEN", "http://127.0.0.1:8080"), ("APP__ADMIN__LISTEN", "127.0.0.1:8080")];
    let refused = run_to_exit(&["check"], &same).await;
    assert_eq!(refused.code, 78, "{}", refused.text);
    assert!(refused.text.contains("admin.listen, server.listen"), "{}", refused.text);
}

/// Standard names that are not followed are refused by name, as a start that warns and goes on would lose traces.
const STANDARD: [(&str, &str); 29] = [
    ("OTEL_PROPAGATORS", "jaeger"),
    ("OTEL_PROPAGATORS", "tracecontext,hunter2"),
    ("OTEL_RESOURCE_ATTRIBUTES", "hunter2"),
    ("OTEL_RESOURCE_ATTRIBUTES", "a=hunter2%zz"),
    ("OTEL_TRACES_SAMPLER", "hunter2"),
    ("OTEL_TRACES_SAMPLER_ARG", "7"),
    ("OTEL_SDK_DISABLED", "hunter2"),
    ("OTEL_TRACES_EXPORTER", "hunter2"),
    ("OTEL_TRACES_EXPORTER", "otlp"),
    ("OTEL_LOGS_EXPORTER", "hunter2"),
    ("OTEL_LOGS_EXPORTER", "otlp"),
    ("OTEL_METRICS_EXPORTER", "otlp"),
    ("OTEL_CONFIG_FILE", "/hunter2"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
    ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "hunter2"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "hunter2"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:hunter2@collector:4317"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://hunter2"),
    ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "ftp://hunter2"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "a b=hunter2"),
    ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "a b=hunter2"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "hunter2"),
    ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "hunter2"),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "hunter2"),
    ("OTEL_EXPORTER_OTLP_INSECURE", "hunter2"),
    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/hunter2"),
    ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", "/hunter2"),
    ("APP__TELEMETRY__OTLP_ENDPOINT", "http://me:hunter2@collector:4317"),
];

#[tokio::test]
async fn a_standard_name_that_cannot_be_followed_is_refused() {
    let _turn = shared().await;
    for (variable, value) in STANDARD {
        let refused = run_to_exit(&[], &[(variable, value)]).await;
        assert_eq!(refused.code, 78, "{variable}={value}: {}", refused.text);
        assert!(refused.text.contains(variable), "{variable}={value}: {}", refused.text);
        assert!(!refused.text.contains("hunter2"), "{variable} shows its value: {}", refused.text);
    }
}

#[tokio::test]
async fn check_refuses_what_a_start_refuses() {
    let _turn = shared().await;
    for (variable, value) in STANDARD {
        let refused = run_to_exit(&["check"], &[(variable, value)]).await;
        assert_eq!(refused.code, 78, "{variable}={value}: {}", refused.text);
    }
}

#[tokio::test]
async fn a_standard_name_without_effect_is_told() {
    let _turn = shared().await;
    let settings = [("OTEL_BSP_MAX_QUEUE_SIZE", "7"), ("OTEL_TRACE_SAMPLER", "always_on")];
    let check = run_to_exit(&["check"], &settings).await;
    assert_eq!(check.code, 0, "{}", check.text);
    let server = Server::start(&settings).await;
    for (name, _) in settings {
        assert!(check.text.contains(name), "no {name} in: {}", check.text);
        server.logs(name).await;
    }
}

#[tokio::test]
async fn config_shows_what_the_standard_names_set() {
    let _turn = shared().await;
    let settings = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1/traces"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
        ("OTEL_TRACES_SAMPLER", "always_on"),
    ];
    let server = Server::start(&settings).await;
    let shown: serde_json::Value = serde_json::from_str(&server.admin("/config").await.text()).expect("JSON");
    let telemetry = &shown["settings"]["telemetry"];
    assert_eq!(telemetry["traces"]["endpoint"], "http://127.0.0.1:1/traces");
    assert_eq!(telemetry["traces"]["protocol"], "http/protobuf");
    assert_eq!((&telemetry["otlp_timeout"], &telemetry["parent_based"]), (&"1500ms".into(), &false.into()));
}

#[tokio::test]
async fn a_wrong_command_line_is_refused_like_a_setting() {
    let _turn = shared().await;
    for arguments in [&["serve"][..], &["run", "now"], &["--port", "80"], &["--config"], &["check", "--config="]] {
        let refused = run_to_exit(arguments, &[]).await;
        assert_eq!(refused.code, 78, "{arguments:?}: {}", refused.text);
    }
}

#[tokio::test]
async fn a_platform_that_sets_port_is_listened_to_there() {
    let _turn = shared().await;
    let port = free_port().to_string();
    let server = Server::start_without("APP__SERVER__LISTEN", &[("PORT", &port)]).await;
    let config: serde_json::Value =
        serde_json::from_slice(&server.admin("/config").await.body).expect("an answer in JSON");
    assert_eq!(config["settings"]["server"]["listen"][0], format!("http://[::]:{port}"));
    assert_eq!(config["sources"]["server.listen"], "environment variable PORT");
    assert_eq!(server.get("/whoami").await.status, 200);
}

#[tokio::test]
async fn credentials_of_a_collector_are_shown_nowhere() {
    let _turn = shared().await;
    let settings = [
        ("APP__TELEMETRY__OTLP_ENDPOINT", "http://127.0.0.1:1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hunter2"),
        ("APP__TELEMETRY__LOG_FILTER", "trace"),
        ("APP__TELEMETRY__ACCESS_LOG", "true"),
    ];
    let check = run_to_exit(&["check"], &settings).await;
    assert_eq!(check.code, 0, "{}", check.text);
    assert!(check.text.contains("otlp_headers = \"[redacted]\"") && !check.text.contains("hunter2"), "{}", check.text);

    let server = Server::start(&settings).await;
    server.get("/whoami").await;
    for path in ["/config", "/metrics", "/version"] {
        assert!(!server.admin(path).await.text().contains("hunter2"), "a secret on {path}");
    }
    server.logs("/whoami").await;
    assert!(!server.log().contains("hunter2"), "a secret in the log:\n{}", server.log());
}

#[tokio::test]
async fn all_errors_are_named_at_once_and_no_value_is() {
    let _turn = shared().await;
    let settings = [
        ("APP__SERVER__BACKLOG", "hunter2-one"),
        ("APP__LIFECYCLE__DRAIN_DELAY", "hunter2-two"),
        ("APP__APP__RATES_URL", "hunter2-three"),
        ("APP__TELEMETRY__NO_SUCH_KEY", "hunter2-four"),
    ];
    for arguments in [&[][..], &["check"][..]] {
        let refused = run_to_exit(arguments, &settings).await;
        assert_eq!(refused.code, 78, "{}", refused.text);
        for (variable, _) in settings {
            assert!(refused.text.contains(variable), "no {variable} in: {}", refused.text);
        }
        assert!(!refused.text.contains("hunter2"), "a value is shown: {}", refused.text);
    }
}
