//! An authority that issues certificates, by OpenSSL.

use std::path::{Path, PathBuf};

use crate::harness::{Scratch, tools};

use super::text;

/// Its files are in a test's folder.
pub(crate) struct Authority {
    folder: PathBuf,
    name: &'static str,
}

impl Authority {
    pub(crate) async fn new(scratch: &Scratch, name: &'static str) -> Self {
        let authority = Self { folder: scratch.path().to_owned(), name };
        let constraints = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"];
        authority.make(name, name, &constraints).await;
        authority
    }

    /// The authority's own certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.file(self.name, "pem")
    }

    /// A certificate and its key for `localhost` and 127.0.0.1, in files called `name`; its subject is `name` as well.
    pub(crate) async fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = (self.certificate(), self.file(self.name, "key"));
        let by = ["-CA", text(&certificate), "-CAkey", text(&key)];
        let names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"];
        self.make(name, name, &[by, names].concat()).await;
        (self.file(name, "pem"), self.file(name, "key"))
    }

    async fn make(&self, name: &str, subject: &str, arguments: &[&str]) {
        let (certificate, key, subject) =
            (self.file(name, "pem"), self.file(name, "key"), format!("/O=Test/CN={subject}"));
        let ours = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
        let files = ["-subj", &subject, "-out", text(&certificate), "-keyout", text(&key)];
        let made = tools::run("openssl", &[&ours[..], &files, arguments].concat()).await;
        assert_eq!(made.code, 0, "{}", made.text);
    }

    fn file(&self, name: &str, ending: &str) -> PathBuf {
        Path::new(&self.folder).join(format!("{name}.{ending}"))
    }
}
