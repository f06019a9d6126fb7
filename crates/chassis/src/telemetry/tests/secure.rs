//! Exports over https: who is trusted, and who we are.

use std::{fs, path::PathBuf, process::Command, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

use super::{
    scripted::{Accept, Scripted, Stream},
    *,
};

/// A certificate for `localhost` with its key, by OpenSSL, in a file that ends with the test: that of the collector, its
/// authority, and that of a client.
struct Certificate(PathBuf);

impl Certificate {
    fn new(name: &str) -> Self {
        let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
                         -addext subjectAltName=DNS:localhost -addext basicConstraints=CA:FALSE -keyout - -out -";
        let made = Command::new("openssl").args(arguments.split_whitespace()).output();
        let made = made.unwrap_or_else(|error| panic!("openssl: {error}: run `make tools`"));
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let file = std::env::temp_dir().join(format!("export-{name}-{}.pem", std::process::id()));
        fs::write(&file, &made.stdout).unwrap();
        Self(file)
    }

    fn path(&self) -> Option<String> {
        self.0.to_str().map(str::to_owned)
    }

    /// Accepts TLS with it, from clients that show a certificate of `clients`.
    fn accept(&self, alpn: &[u8], clients: Option<&Self>) -> Accept {
        let pem = fs::read(&self.0).unwrap();
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let config = match clients {
            None => config.unwrap().with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_file(&clients.0).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
                config.unwrap().with_client_cert_verifier(verifier)
            }
        };
        let chain = vec![CertificateDer::from_pem_slice(&pem).unwrap()];
        let mut config = config.with_single_cert(chain, PrivateKeyDer::from_pem_slice(&pem).unwrap()).unwrap();
        config.alpn_protocols = vec![alpn.to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Arc::new(move |stream| {
            let acceptor = acceptor.clone();
            Box::pin(async move { Some(Box::new(acceptor.accept(stream).await.ok()?) as Box<dyn Stream>) })
        })
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

const PROTOCOLS: [(OtlpProtocol, bool, &[u8]); 2] =
    [(OtlpProtocol::Grpc, true, b"h2"), (OtlpProtocol::HttpProtobuf, false, b"http/1.1")];

/// How many requests came of one request's spans, and how many spans were lost.
fn exported(collector: &Scripted, settings: &Settings) -> (usize, u64) {
    let fixture = fixture(settings);
    fixture.serve(&context(TRACE, true), StatusCode::OK);
    assert!(fixture.telemetry.flush(Duration::from_secs(1)));
    (collector.asked().len(), fixture.dropped("traces"))
}

#[test]
fn a_collector_is_reached_over_https_where_its_authority_is_trusted() {
    let (certificate, other) = (Certificate::new("served"), Certificate::new("other"));
    for (otlp_protocol, is_grpc, alpn) in PROTOCOLS {
        let collector = Scripted::start(is_grpc, [], certificate.accept(alpn, None));
        let with = |otlp_ca_file| Settings { otlp_protocol, otlp_ca_file, ..to(collector.secure_endpoint()) };
        for unknown in [None, other.path()] {
            assert_eq!(exported(&collector, &with(unknown)), (0, 2), "{otlp_protocol:?}");
        }
        let (asked, lost) = exported(&collector, &with(certificate.path()));
        assert!(asked > 0 && lost == 0, "{otlp_protocol:?}: {asked} requests, {lost} lost");
    }
}

#[test]
fn a_collector_that_asks_for_a_certificate_gets_it() {
    let (certificate, client) = (Certificate::new("asks"), Certificate::new("client"));
    for (otlp_protocol, is_grpc, alpn) in PROTOCOLS {
        let collector = Scripted::start(is_grpc, [], certificate.accept(alpn, Some(&client)));
        let with = |file: Option<String>| Settings {
            otlp_protocol,
            otlp_ca_file: certificate.path(),
            otlp_client_certificate_file: file.clone(),
            otlp_client_key_file: file,
            ..to(collector.secure_endpoint())
        };
        assert_eq!(exported(&collector, &with(None)), (0, 2), "{otlp_protocol:?}");
        assert_eq!(exported(&collector, &with(certificate.path())), (0, 2), "{otlp_protocol:?}");
        let (asked, lost) = exported(&collector, &with(client.path()));
        assert!(asked > 0 && lost == 0, "{otlp_protocol:?}: {asked} requests, {lost} lost");
    }
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_of_the_start() {
    let certificate = Certificate::new("alone");
    let nowhere = || Some("/nowhere/a.pem".to_owned());
    let own = |file, key| Settings {
        otlp_client_certificate_file: file,
        otlp_client_key_file: key,
        ..to("https://localhost:1".into())
    };
    for (settings, key) in [
        (Settings { otlp_ca_file: nowhere(), ..to("https://localhost:1".into()) }, "telemetry.otlp_ca_file"),
        (own(nowhere(), certificate.path()), "telemetry.otlp_client_certificate_file"),
        (own(certificate.path(), nowhere()), "telemetry.otlp_client_key_file"),
    ] {
        let output = Output { writer: Box::new(std::io::sink()), is_terminal: false, colour: Colour::Plain };
        assert_eq!(build(&settings, &identity(), &|_| None, output).err().unwrap().key, key);
    }
}
