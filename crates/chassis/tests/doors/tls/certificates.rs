//! Certificates: the server's own, renewed while it serves, and those of clients.

use std::{fs, path::Path, time::Duration};

use nix::sys::signal::Signal;

use super::{
    Authority, Secure, text,
    tunnel::{Tunnel, client, connect},
};
use crate::harness::{
    Scratch, eventually, exclusive,
    load::{Load, Mode},
    number,
    server::{self, SETTINGS},
    shared, tools,
};

/// Puts `from` in the place of `to`, as those who renew certificates do.
fn replace(from: &Path, to: &Path) {
    let beside = to.with_extension("new");
    fs::copy(from, &beside).expect("copying");
    fs::rename(beside, to).expect("renaming");
}

async fn renew(secure: &Secure, name: &str) -> std::path::PathBuf {
    let (certificate, key) = secure.authority.issue(name).await;
    replace(&certificate, &secure.scratch.path().join("server.pem"));
    replace(&key, &secure.scratch.path().join("server.key"));
    certificate
}

#[tokio::test]
async fn a_certificate_is_renewed_under_load_and_no_request_fails() {
    let _turn = exclusive().await;
    let secure = Secure::start(&[]).await;
    let before = secure.scratch.path().join("first.pem");
    fs::copy(secure.scratch.path().join("server.pem"), &before).expect("copying");
    let tunnel = Tunnel::to(secure.address, client(&secure.authority.certificate(), None)).await;
    let kept = Load::start(tunnel.address, 8, Mode::KeepAlive, "/hello/");
    let new = Load::start(tunnel.address, 4, Mode::NewConnection, "/hello/");
    eventually("the first certificate", Duration::from_secs(20), async || (tunnel.shown(&before) > 20).then_some(()))
        .await;
    let renewals = number("TLS_RENEWALS", 3);
    for turn in 1..=renewals {
        let name = format!("renewed-{turn}");
        let certificate = renew(&secure, &name).await;
        if turn % 2 == 1 {
            // The others are found without being told.
            secure.server.signal(Signal::SIGHUP);
        }
        let shown = async || (tunnel.shown(&certificate) > 20).then_some(());
        eventually(&format!("the {name} certificate"), Duration::from_secs(30), shown).await;
    }
    let (kept, new) = (kept.stop().await, new.stop().await);
    println!("{renewals} renewals: {kept} on kept connections, {new} on new ones");
    assert_eq!((kept.failed(), new.failed()), (0, 0), "{kept}; {new}");
    assert!(kept.ok > 80 && new.ok > 80, "{kept}; {new}");
}

#[tokio::test]
async fn a_bad_certificate_is_counted_and_the_old_one_serves_on() {
    let _turn = shared().await;
    let secure = Secure::start(&[]).await;
    let (certificate, _) = secure.authority.issue("other").await;
    let failures = async || secure.server.metric("config_reload_failures_total").await;
    let in_place = secure.scratch.path().join("server.pem");
    let good = fs::read(&in_place).expect("the certificate");
    // One that is none, and one whose key is another.
    for (turn, bad) in [b"-----BEGIN CERTIFICATE-----\nhunter2\n".to_vec(), fs::read(certificate).expect("a file")]
        .into_iter()
        .enumerate()
    {
        let before = failures().await;
        fs::write(&in_place, bad).expect("writing");
        secure.server.signal(Signal::SIGHUP);
        let counted = async || (failures().await > before).then_some(());
        eventually("it is counted", Duration::from_secs(10), counted).await;
        assert_eq!(secure.curl(&[], "/hello/").await.text, "Hello, World!\n", "turn {turn}");
    }
    secure.server.logs("tls.key_file: the key does not match tls.certificate_file").await;
    secure.server.logs("tls.certificate_file: expected certificates in PEM").await;
    assert!(!secure.server.log().contains("hunter2"), "{}", secure.server.log());
    fs::write(&in_place, good).expect("writing");
    let name = "fresh";
    let fresh = renew(&secure, name).await;
    let tunnel = Tunnel::to(secure.address, client(&secure.authority.certificate(), None)).await;
    let shown = async || {
        let _ = crate::harness::http::get(tunnel.address, "/hello/").await;
        (tunnel.shown(&fresh) > 0).then_some(())
    };
    eventually("the fresh certificate", Duration::from_secs(20), shown).await;
}

#[tokio::test]
async fn files_that_do_not_fit_stop_the_start_by_key() {
    let _turn = shared().await;
    let scratch = Scratch::new("tls");
    let authority = Authority::new(&scratch, "ca").await;
    let (certificate, key) = authority.issue("server").await;
    let (other, _) = authority.issue("other").await;
    let empty = scratch.write("empty.pem", "");
    let locked = scratch
        .write("locked.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nhunter2\n-----END ENCRYPTED PRIVATE KEY-----\n");
    let missing = scratch.path().join("missing.pem");
    let folder = scratch.path();
    for (certificate, key, named) in [
        (&*missing, &*key, "tls.certificate_file"),
        (&*empty, &*key, "tls.certificate_file"),
        (folder, &*key, "tls.certificate_file"),
        (&*key, &*key, "tls.certificate_file"),
        (&*certificate, &*missing, "tls.key_file"),
        (&*certificate, &*locked, "tls.key_file"),
        (&*certificate, &*certificate, "tls.key_file"),
        (&*other, &*key, "tls.key_file"),
    ] {
        let settings = [("APP__TLS__CERTIFICATE_FILE", text(certificate)), ("APP__TLS__KEY_FILE", text(key))];
        let refused = refused(&settings).await;
        assert!(refused.contains(&format!("{named}: ")), "{certificate:?}, {key:?}: {refused}");
        let variable = if named == "tls.key_file" { "APP__TLS__KEY_FILE" } else { "APP__TLS__CERTIFICATE_FILE" };
        assert!(refused.contains(variable) && !refused.contains("hunter2"), "{refused}");
    }
    let both = [("APP__TLS__CERTIFICATE_FILE", text(&certificate)), ("APP__TLS__KEY_FILE", text(&key))];
    for (more, named) in [
        (&[("APP__TLS__CLIENT_AUTH", "required")][..], "tls.client_auth, tls.client_ca_file"),
        (&[("APP__TLS__CLIENT_CA_FILE", text(&certificate))], "tls.client_auth, tls.client_ca_file"),
        (&[("APP__TLS__CLIENT_AUTH", "required"), ("APP__TLS__CLIENT_CA_FILE", text(&empty))], "tls.client_ca_file"),
        (&[("APP__TLS__CLIENT_AUTH", "perhaps")], "tls.client_auth"),
        (&[("APP__TLS__MIN_VERSION", "1.1")], "tls.min_version"),
        (&[("APP__TLS__REDIRECT", "http://127.0.0.1:80")], "tls.redirect"),
        (&[("APP__TLS__REDIRECT", "https://127.0.0.1:0")], "tls.redirect"),
        (&[("APP__TLS__REDIRECT_HOSTS", "a/b")], "tls.redirect_hosts"),
        (&[("APP__TLS__HSTS_SUBDOMAINS", "true")], "tls.hsts"),
        (&[("APP__SERVER__PROXY_PROTOCOL", "http://127.0.0.1:1")], "server.proxy_protocol"),
    ] {
        let text = refused(&[&both[..], more].concat()).await;
        assert!(text.contains(named), "{more:?}: {text}");
    }
    let none = refused(&[]).await;
    assert!(
        none.contains("tls.certificate_file, server.listen") && none.contains("tls.key_file, server.listen"),
        "{none}"
    );
}

/// What a start with these settings says, which ends with 78.
async fn refused(settings: &[(&str, &str)]) -> String {
    let mut command = server::command(&server::example("battery"), &SETTINGS);
    command.env("APP__SERVER__LISTEN", "https://127.0.0.1:0").envs(settings.iter().copied());
    let refused = tools::output(command, "", Duration::from_secs(20)).await;
    assert_eq!(refused.code, 78, "{settings:?}: {}", refused.text);
    refused.text
}

#[tokio::test]
async fn clients_prove_who_they_are_where_they_are_asked() {
    let _turn = shared().await;
    let scratch = Scratch::new("clients");
    let clients = Authority::new(&scratch, "clients").await;
    let strangers = Authority::new(&scratch, "strangers").await;
    let (certificate, key) = clients.issue("billing").await;
    let (strange, strange_key) = strangers.issue("mallory").await;
    let authority = clients.certificate();
    for mode in ["optional", "required"] {
        let settings = [("APP__TLS__CLIENT_AUTH", mode), ("APP__TLS__CLIENT_CA_FILE", text(&authority))];
        let secure = Secure::start(&settings).await;
        for version in ["1.2", "1.3"] {
            let with = ["--tls-max", version, "--cert", text(&certificate), "--key", text(&key)];
            let known = secure.curl(&with, "/echo").await;
            assert!(known.text.contains("\"certificate\":\"CN=billing,O=Test\""), "{mode}: {}", known.text);
            let unknown = secure.curl(&["--tls-max", version], "/echo").await;
            let is_served = unknown.code == 0 && unknown.text.contains("\"certificate\":null");
            assert_eq!(is_served, mode == "optional", "{mode} {version}: {}", unknown.text);
            let with = ["--tls-max", version, "--cert", text(&strange), "--key", text(&strange_key)];
            let stranger = secure.curl(&with, "/echo").await;
            assert!(stranger.code != 0 && !stranger.text.contains("certificate\":"), "{mode}: {}", stranger.text);
        }
        let refused = if mode == "required" { 4.0 } else { 2.0 };
        secure.server.series_becomes("tls_handshake_failures_total", "kind=\"client_certificate\"", refused).await;
    }
    let open = Secure::start(&[]).await;
    let own = client(&open.authority.certificate(), Some((&certificate, &key)));
    connect(open.address, &own).await.expect("nobody is asked");
}

#[tokio::test]
async fn the_end_of_a_certificate_is_a_metric() {
    let _turn = shared().await;
    let secure = Secure::start(&[]).await;
    let expires = secure.server.metric("tls_certificate_expiry_timestamp_seconds").await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64();
    // Issued for two days.
    assert!((expires - now - 2.0 * 86_400.0).abs() < 600.0, "{expires}, now {now}");
}
