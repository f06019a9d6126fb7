//! What the settings of the doors need beyond their types: `tls.*`, and `server.proxy_protocol`.
//!
//! It looks into no file; what a certificate holds is found when it is read.
//!
//! Next: [`super::show`].

use super::{
    Duration, Problem, Problems,
    listen::{self, Listen},
};
use crate::{
    server,
    transports::{
        Door, is_built_in,
        settings::{ClientAuth, Settings},
    },
};

const CERTIFICATE: &str = "tls.certificate_file";
const KEY: &str = "tls.key_file";
const CLIENT_AUTH: &str = "tls.client_auth";
const CLIENT_CA: &str = "tls.client_ca_file";
const LISTEN: &str = "server.listen";
const PROXY: &str = "server.proxy_protocol";
const REDIRECT: &str = "tls.redirect";

pub(super) fn check(server: &server::Settings, tls: &Settings, problems: &mut Problems) {
    let is_any = |listen: &Listen| matches!(listen.door, Door::Http | Door::Https);
    let proxy = "expected URLs of server.listen with the scheme http or https";
    listed(&server.proxy_protocol, PROXY, server, is_any, proxy, problems);
    if !is_built_in("proxy-protocol") {
        let message = "this build has no such setting: rebuild with --features proxy-protocol";
        problems.require(server.proxy_protocol.is_empty(), PROXY, message);
    }
    if !is_built_in("tls") {
        return unavailable(tls, problems);
    }
    let redirect = "expected URLs of server.listen with the scheme http";
    listed(&tls.redirect, REDIRECT, server, |listen| listen.door == Door::Http, redirect, problems);
    files(server, tls, problems);
    let name = |host: &String| !host.is_empty() && !host.contains([':', '/', '@']) && host.is_ascii();
    let hosts = tls.redirect_hosts.iter().all(|host| name(host) || host.starts_with('['));
    problems.require(hosts, "tls.redirect_hosts", "expected host names without a port");
    problems.require(tls.redirect_port > 0, "tls.redirect_port", "expected a port above zero");
    let whole = tls.hsts.subsec_nanos() == 0;
    problems.require(whole, "tls.hsts", "expected whole seconds");
    if tls.hsts_subdomains && tls.hsts == Duration::default() {
        problems.push(Problem::between(["tls.hsts_subdomains", "tls.hsts"], "names below need a duration beside it"));
    }
}

/// Each of `urls` has to be one of `server.listen`, as it is written there.
fn listed(
    urls: &[String],
    key: &str,
    server: &server::Settings,
    fits: impl Fn(&Listen) -> bool,
    message: &str,
    problems: &mut Problems,
) {
    for (index, url) in urls.iter().enumerate() {
        // One that cannot be read is reported where it listens.
        let fits = server.listen.contains(url) && listen::parse(url).as_ref().map_or(true, &fits);
        problems.require(fits, &format!("{key}[{index}]"), message);
    }
}

fn files(server: &server::Settings, tls: &Settings, problems: &mut Problems) {
    for (key, file) in [(CERTIFICATE, &tls.certificate_file), (KEY, &tls.key_file), (CLIENT_CA, &tls.client_ca_file)] {
        let is_path = file.as_ref().is_none_or(|path| !path.trim().is_empty() && !path.contains(['\n', '\0']));
        problems.require(is_path, key, "expected the path of a file");
    }
    let speaks = |url: &String| listen::parse(url).is_ok_and(|listen| listen.door == Door::Https);
    for (key, file) in [(CERTIFICATE, &tls.certificate_file), (KEY, &tls.key_file)] {
        if file.is_none() && server.listen.iter().any(speaks) {
            problems.push(Problem::between([key, LISTEN], "a listener for https needs it"));
        }
    }
    match (tls.client_auth, &tls.client_ca_file) {
        (ClientAuth::Off, Some(_)) | (ClientAuth::Optional | ClientAuth::Required, None) => {
            problems.push(Problem::between([CLIENT_AUTH, CLIENT_CA], "each of them needs the other"));
        }
        _ => {}
    }
}

fn unavailable(tls: &Settings, problems: &mut Problems) {
    let default = Settings::default();
    for (key, unchanged) in [
        (CERTIFICATE, tls.certificate_file == default.certificate_file),
        (KEY, tls.key_file == default.key_file),
        ("tls.min_version", tls.min_version == default.min_version),
        (CLIENT_AUTH, tls.client_auth == default.client_auth),
        (CLIENT_CA, tls.client_ca_file == default.client_ca_file),
        ("tls.hsts", tls.hsts == default.hsts),
        ("tls.hsts_subdomains", tls.hsts_subdomains == default.hsts_subdomains),
        (REDIRECT, tls.redirect == default.redirect),
        ("tls.redirect_hosts", tls.redirect_hosts == default.redirect_hosts),
        ("tls.redirect_port", tls.redirect_port == default.redirect_port),
    ] {
        problems.require(unchanged, key, "this build has no such setting: rebuild with --features tls");
    }
}
