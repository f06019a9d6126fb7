//! What a build leaves out: its settings are refused with the way to turn them on, and nothing of it is built.

use std::time::Duration;

use crate::harness::{server::run_to_exit, shared, tools};

#[tokio::test]
async fn features_that_are_off_say_how_to_turn_them_on() {
    let _turn = shared().await;
    for (listen, feature) in [("https://127.0.0.1:0", "tls"), ("uwsgi://127.0.0.1:0", "uwsgi"), ("http+fd://0", "host")]
    {
        let refused = run_to_exit(&[], &[("APP__SERVER__LISTEN", listen)]).await;
        assert_eq!(refused.code, 78, "{}", refused.text);
        let advice = format!("rebuild with --features {feature}");
        assert!(refused.text.contains(&advice), "{}", refused.text);
    }
}

#[tokio::test]
async fn settings_of_a_feature_that_is_off_are_refused() {
    let _turn = shared().await;
    for (variable, value) in [
        ("APP__HOST__USER", "nobody"),
        ("APP__HOST__GROUP", "nogroup"),
        ("APP__HOST__KEEP_CAPABILITIES", "true"),
        ("APP__HOST__PID_FILE", "pid"),
        ("APP__HOST__UPGRADE_TIMEOUT", "2m"),
        ("APP__TLS__CERTIFICATE_FILE", "server.pem"),
        ("APP__TLS__KEY_FILE", "server.key"),
        ("APP__TLS__MIN_VERSION", "1.3"),
        ("APP__TLS__CLIENT_AUTH", "required"),
        ("APP__TLS__CLIENT_CA_FILE", "clients.pem"),
        ("APP__TLS__HSTS", "1m"),
        ("APP__TLS__HSTS_SUBDOMAINS", "true"),
        ("APP__TLS__REDIRECT", "http://127.0.0.1:0"),
        ("APP__TLS__REDIRECT_HOSTS", "example.com"),
        ("APP__TLS__REDIRECT_PORT", "8443"),
        ("APP__SERVER__PROXY_PROTOCOL", "http://127.0.0.1:0"),
    ] {
        let refused = run_to_exit(&[], &[(variable, value)]).await;
        assert_eq!(refused.code, 78, "{variable}: {}", refused.text);
        let feature = match variable {
            "APP__SERVER__PROXY_PROTOCOL" => "proxy-protocol",
            tls if tls.starts_with("APP__TLS__") => "tls",
            _ => "host",
        };
        let advice = format!("rebuild with --features {feature}");
        for part in [variable, &advice] {
            assert!(refused.text.contains(part), "no {part} in: {}", refused.text);
        }
    }
}

#[tokio::test]
async fn a_python_application_is_refused_where_there_is_no_python() {
    let _turn = shared().await;
    for arguments in [&[][..], &["check"]] {
        let refused = run_to_exit(arguments, &[("APP__APP__WSGI", "shop:app")]).await;
        assert_eq!(refused.code, 78, "{}", refused.text);
        for part in ["app.wsgi", "APP__APP__WSGI", "rebuild with --features wsgi"] {
            assert!(refused.text.contains(part), "no {part} in: {}", refused.text);
        }
    }
}

/// What the default image is built with has none of what only a feature needs.
#[tokio::test]
async fn the_default_build_depends_on_nothing_that_only_a_feature_needs() {
    let _turn = shared().await;
    let tree = async |features: &str| {
        let mut command = tokio::process::Command::new(env!("CARGO"));
        command.args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
        command.args(["--features", features]).current_dir(env!("CARGO_MANIFEST_DIR"));
        let done = tools::output(command, "", Duration::from_mins(1)).await;
        assert_eq!(done.code, 0, "{}", done.text);
        done.text
    };
    let (default, host, tls) = (tree("").await, tree("host").await, tree("tls").await);
    let postgres = tree("postgres").await;
    let jobs = tree("jobs").await;
    let (identity, oidc) = (tree("identity").await, tree("oidc").await);
    assert!(!default.contains("pyo3"), "the default build has Python");
    let names = ["caps ", "command-fds ", "listenfd ", "sd-notify "].map(|name| (name, "host", &host));
    let more = ["hyper-rustls ", "ring ", "rustls ", "tokio-rustls ", "webpki-roots ", "x509-cert "]
        .map(|name| (name, "tls", &tls));
    let database = ["sqlx ", "sqlx-core ", "sqlx-postgres "].map(|name| (name, "postgres", &postgres));
    let queue = ["croner ", "chrono "].map(|name| (name, "jobs", &jobs));
    let callers = ["sha2 ", "subtle "].map(|name| (name, "identity", &identity));
    let tokens = ["aws-lc-rs ", "jsonwebtoken "].map(|name| (name, "oidc", &oidc));
    let all = names.into_iter().chain(more).chain(database).chain(queue).chain(callers).chain(tokens);
    for (name, feature, with) in all {
        let is_there = |tree: &str| tree.lines().any(|line| line.starts_with(name));
        assert!(!is_there(&default), "the default build has {name}");
        assert!(is_there(with), "the feature {feature} has lost {name}");
    }
    // No driver of another database, and no TLS that was not asked for.
    for name in ["sqlx-mysql ", "sqlx-sqlite ", "rustls "] {
        assert!(!postgres.lines().any(|line| line.starts_with(name)), "the feature postgres has {name}");
    }
    for name in ["croner ", "chrono "] {
        assert!(!postgres.lines().any(|line| line.starts_with(name)), "the feature postgres has {name}");
    }
    assert!(!identity.contains("jsonwebtoken"), "the feature identity reads no JWT");
    // One provider of ciphers, and the one with the least to build.
    assert!(!tls.contains("aws-lc"), "the feature tls has a second provider");
}
