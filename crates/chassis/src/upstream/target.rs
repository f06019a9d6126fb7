//! The address of an upstream.
//!
//! Next: [`super::pool`].

use http::{
    Uri,
    uri::{Authority, Scheme},
};

use super::UpstreamError;
use crate::trust;

/// A checked base URL.
#[derive(Clone, Debug)]
pub(super) struct Target {
    scheme: Scheme,
    authority: Authority,
    /// Without a slash at its end.
    prefix: String,
}

impl Target {
    pub(super) fn parse(base_url: &str) -> Result<Self, UpstreamError> {
        let refuse = |reason| Err(UpstreamError::InvalidUrl(reason));
        let Ok(uri) = base_url.parse::<Uri>() else { return refuse("expected a URL such as http://host:port") };
        let Some(scheme) = uri.scheme().filter(|scheme| [&Scheme::HTTP, &Scheme::HTTPS].contains(scheme)) else {
            return refuse("expected a URL such as http://host:port");
        };
        if *scheme == Scheme::HTTPS && !trust::AVAILABLE {
            return refuse("this build lacks https: rebuild with --features tls");
        }
        let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
            return refuse("expected a URL such as http://host:port");
        };
        if authority.as_str().contains('@') {
            return refuse("credentials in the URL are not supported");
        }
        if uri.query().is_some() || base_url.contains('#') {
            return refuse("a query or fragment in the URL is not supported");
        }
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { scheme: scheme.clone(), authority: authority.clone(), prefix })
    }

    /// The full URI of a path below the base.
    pub(super) fn join(&self, path: &Uri) -> Result<Uri, UpstreamError> {
        let path = path.path_and_query().filter(|path| path.as_str().starts_with('/'));
        let path = path.ok_or(UpstreamError::InvalidRequest)?;
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(format!("{}{path}", self.prefix))
            .build()
            .map_err(|_| UpstreamError::InvalidRequest)
    }

    pub(super) fn host(&self) -> &str {
        self.authority.host()
    }

    pub(super) fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.scheme == Scheme::HTTPS { 443 } else { 80 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_without_credentials_is_a_target_and_errors_do_not_repeat_it() {
        for url in
            ["host:80", "/path", "ftp://host", "http://me:secret@host", "https://secret@host", "http://h/?secret", ""]
        {
            let error = Target::parse(url).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn https_is_a_target_where_the_build_has_tls() {
        match Target::parse("https://host/below") {
            Ok(target) if trust::AVAILABLE => {
                assert_eq!(target.port(), 443);
                let uri = target.join(&Uri::from_static("/v1")).unwrap();
                assert_eq!(uri.to_string(), "https://host/below/v1");
            }
            Err(error) if !trust::AVAILABLE => {
                assert!(error.to_string().contains("rebuild with --features tls"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn paths_are_joined_below_the_base() {
        for (base, expected) in [
            ("http://host", "http://host/v1/rates?a=1"),
            ("http://host:81/", "http://host:81/v1/rates?a=1"),
            ("http://[::1]:81/below/", "http://[::1]:81/below/v1/rates?a=1"),
        ] {
            let uri = Target::parse(base).unwrap().join(&Uri::from_static("/v1/rates?a=1")).unwrap();
            assert_eq!(uri.to_string(), expected);
        }
    }
}
