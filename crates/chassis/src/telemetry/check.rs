//! Validation of the settings of exports: endpoints, headers, times, files.
//!
//! Next: [`super::target`].

use http::Uri;

use super::{Settings, target::headers_of};
use crate::trust;

impl Settings {
    /// Adds those of exports to `problems`.
    pub(super) fn problems_of_exports(&self, problems: &mut Vec<(&'static str, String)>) {
        let endpoints = [
            ("telemetry.otlp_endpoint", &self.otlp_endpoint),
            ("telemetry.traces.endpoint", &self.traces.endpoint),
            ("telemetry.logs.endpoint", &self.logs.endpoint),
        ];
        for (key, endpoint) in endpoints {
            problems.extend(endpoint.as_deref().and_then(|url| Some((key, check_endpoint(url).err()?.into()))));
        }
        let headers = [
            ("telemetry.otlp_headers", &self.otlp_headers),
            ("telemetry.traces.headers", &self.traces.headers),
            ("telemetry.logs.headers", &self.logs.headers),
        ];
        for (key, list) in headers {
            problems.extend(list.as_ref().and_then(|list| Some((key, headers_of(list).err()?))));
        }
        let timeouts = [
            ("telemetry.otlp_timeout", Some(self.otlp_timeout)),
            ("telemetry.traces.timeout", self.traces.timeout),
            ("telemetry.logs.timeout", self.logs.timeout),
        ];
        for (key, timeout) in timeouts {
            if timeout.is_some_and(|timeout| timeout.is_zero()) {
                problems.push((key, "expected a duration above zero".into()));
            }
        }
        self.problems_of_files(problems);
    }

    fn problems_of_files(&self, problems: &mut Vec<(&'static str, String)>) {
        let (all, traces, logs) = (self, &self.traces, &self.logs);
        let authorities = [
            ("telemetry.otlp_ca_file", &all.otlp_ca_file),
            ("telemetry.traces.ca_file", &traces.ca_file),
            ("telemetry.logs.ca_file", &logs.ca_file),
        ];
        let certificates = [
            ("telemetry.otlp_client_certificate_file", &all.otlp_client_certificate_file),
            ("telemetry.traces.client_certificate_file", &traces.client_certificate_file),
            ("telemetry.logs.client_certificate_file", &logs.client_certificate_file),
        ];
        let keys = [
            ("telemetry.otlp_client_key_file", &all.otlp_client_key_file),
            ("telemetry.traces.client_key_file", &traces.client_key_file),
            ("telemetry.logs.client_key_file", &logs.client_key_file),
        ];
        if !trust::AVAILABLE {
            let set = authorities.iter().chain(&certificates).chain(&keys).filter(|(_, file)| file.is_some());
            return problems.extend(set.map(|(key, _)| (*key, trust::MISSING.into())));
        }
        for ((certificate, certificate_file), (key, key_file)) in certificates.into_iter().zip(keys) {
            let alone = match (certificate_file, key_file) {
                (Some(_), None) => certificate,
                (None, Some(_)) => key,
                _ => continue,
            };
            problems.push((alone, "a certificate needs its key, and a key its certificate".into()));
        }
    }
}

/// Whether `url` is a collector's URL: `http://host` or, with TLS, `https://host`, optionally with a port and a path.
fn check_endpoint(url: &str) -> Result<(), &'static str> {
    const SHAPE: &str = "expected a URL such as http://collector:4317";
    let uri: Uri = url.parse().map_err(|_| SHAPE)?;
    let is_secure = uri.scheme_str() == Some("https");
    if is_secure && !trust::AVAILABLE {
        return Err("this build exports over plain HTTP; use a collector on localhost, or rebuild with --features tls");
    }
    let authority = uri.authority().ok_or(SHAPE)?;
    if authority.as_str().contains('@') {
        // No part of a request carries them, and a URL is shown where a secret would not be.
        return Err("expected a URL without user and password; credentials belong in headers");
    }
    let after_host = authority.as_str().rsplit_once(authority.host()).map_or("", |(_, after)| after);
    let port = after_host.is_empty() || authority.port_u16().is_some_and(|port| port > 0);
    let shaped = (is_secure || uri.scheme_str() == Some("http"))
        && !authority.host().is_empty()
        && port
        && uri.query().is_none();
    shaped.then_some(()).ok_or(SHAPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_absolute_http_urls() {
        for good in ["http://collector:4317", "http://[::1]:4318/base", "http://10.0.0.1"] {
            assert_eq!(check_endpoint(good), Ok(()), "{good}");
        }
        assert!(check_endpoint("http://me:hunter2@a:4317").is_err_and(|reason| reason.contains("headers")));
        assert_eq!(check_endpoint("https://a:4317").is_ok(), trust::AVAILABLE);
        for bad in ["", "collector:4317", "/v1", "ftp://a", "https://", "http://a/?q=1", "grpc://a:4317"] {
            assert!(check_endpoint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_certificate_comes_with_its_key_and_needs_the_feature() {
        let file = || Some("/nowhere/client.pem".to_owned());
        let keys = |settings: &Settings| settings.problems().into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        let alone = Settings { otlp_client_certificate_file: file(), ..Settings::default() };
        assert_eq!(keys(&alone), ["telemetry.otlp_client_certificate_file"]);
        let both = Settings { otlp_client_key_file: file(), ..alone };
        assert_eq!(keys(&both).is_empty(), trust::AVAILABLE);
        let authorities = Settings { otlp_ca_file: file(), ..Settings::default() };
        assert_eq!(keys(&authorities).is_empty(), trust::AVAILABLE);
    }
}
