//! Settings `tls.*`: they exist in every build, for one reference; a build without the feature refuses them.
//!
//! Next: [`super`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{Check, Duration, SettingError, SettingErrors, is_built_in};

/// Settings `tls.*`: for a build with the cargo feature `tls`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// PEM file with the certificate chain, the server's own certificate first. Read again when it changes.
    pub certificate_file: Option<String>,
    /// PEM file with the certificate's private key. Read again when it changes.
    pub key_file: Option<String>,
    /// Oldest TLS version that is accepted.
    pub min_version: MinVersion,
    /// Client certificates: `off`, `optional` or `required`.
    pub client_auth: ClientAuth,
    /// PEM file with the certificate authorities that client certificates are verified against. Read again when it changes.
    pub client_ca_file: Option<String>,
    /// `max-age` of `Strict-Transport-Security`: how long browsers use only https after their first https response; `0` sends no header. Start with minutes: browsers remember it.
    pub hsts: Duration,
    /// Whether `hsts` also covers all subdomains (`includeSubDomains`).
    pub hsts_subdomains: bool,
    /// URLs of `server.listen` with the scheme `http` that only redirect to https (308) and serve `/healthz`.
    pub redirect: Vec<String>,
    /// Hosts that redirects may point to; requests for other hosts get 400. Empty: the requested host is kept.
    pub redirect_hosts: Vec<String>,
    /// The https port that redirects point to.
    pub redirect_port: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            certificate_file: None,
            key_file: None,
            min_version: MinVersion::default(),
            client_auth: ClientAuth::default(),
            client_ca_file: None,
            hsts: Duration::default(),
            hsts_subdomains: false,
            redirect: Vec::new(),
            redirect_hosts: Vec::new(),
            redirect_port: HTTPS,
        }
    }
}

/// The default port of `https` URLs.
pub(super) const HTTPS: u16 = 443;

/// A version of TLS. Older ones are never supported: RFC 8996 deprecates them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MinVersion {
    /// RFC 5246, with secure ciphers only.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    Tls13,
}

/// Client certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// Not requested.
    #[default]
    Off,
    /// Requested; if sent, it must be valid.
    Optional,
    /// A valid one is required.
    Required,
}

const CERTIFICATE: &str = "certificate_file";
const KEY: &str = "key_file";
const CLIENT_AUTH: &str = "client_auth";
const CLIENT_CA: &str = "client_ca_file";
const REDIRECT: &str = "redirect";

/// It looks into no file; what a certificate holds is found when it is read.
impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        if !is_built_in("tls") {
            return unavailable(self, errors);
        }
        files(self, errors);
        let name = |host: &String| !host.is_empty() && !host.contains([':', '/', '@']) && host.is_ascii();
        let hosts = self.redirect_hosts.iter().all(|host| name(host) || host.starts_with('['));
        errors.require(hosts, "redirect_hosts", "expected host names without a port");
        errors.require(self.redirect_port > 0, "redirect_port", "expected a port above zero");
        errors.require(self.hsts.subsec_nanos() == 0, "hsts", "expected whole seconds");
        if self.hsts_subdomains && self.hsts == Duration::default() {
            errors.push(SettingError::between(["hsts_subdomains", "hsts"], "hsts_subdomains needs a non-zero hsts"));
        }
    }
}

fn files(tls: &Settings, errors: &mut SettingErrors) {
    for (key, file) in [(CERTIFICATE, &tls.certificate_file), (KEY, &tls.key_file), (CLIENT_CA, &tls.client_ca_file)] {
        let is_path = file.as_ref().is_none_or(|path| !path.trim().is_empty() && !path.contains(['\n', '\0']));
        errors.require(is_path, key, "expected the path of a file");
    }
    match (tls.client_auth, &tls.client_ca_file) {
        (ClientAuth::Off, Some(_)) | (ClientAuth::Optional | ClientAuth::Required, None) => {
            errors.push(SettingError::between([CLIENT_AUTH, CLIENT_CA], "must be set together"));
        }
        _ => {}
    }
}

fn unavailable(tls: &Settings, errors: &mut SettingErrors) {
    let default = Settings::default();
    for (key, unchanged) in [
        (CERTIFICATE, tls.certificate_file == default.certificate_file),
        (KEY, tls.key_file == default.key_file),
        ("min_version", tls.min_version == default.min_version),
        (CLIENT_AUTH, tls.client_auth == default.client_auth),
        (CLIENT_CA, tls.client_ca_file == default.client_ca_file),
        ("hsts", tls.hsts == default.hsts),
        ("hsts_subdomains", tls.hsts_subdomains == default.hsts_subdomains),
        (REDIRECT, tls.redirect == default.redirect),
        ("redirect_hosts", tls.redirect_hosts == default.redirect_hosts),
        ("redirect_port", tls.redirect_port == default.redirect_port),
    ] {
        errors.require(unchanged, key, "this build lacks that setting: rebuild with --features tls");
    }
}
