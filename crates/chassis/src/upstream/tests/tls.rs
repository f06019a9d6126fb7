//! Calls over https: who is trusted, which HTTP is spoken, and what an error says.

use std::{fs, path::PathBuf, process::Command};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

use super::*;

/// A certificate for `localhost` and its key, by OpenSSL, in a file that ends with the test.
struct Certificate {
    file: PathBuf,
    pem: Vec<u8>,
}

impl Certificate {
    fn new(name: &str) -> Self {
        let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
                         -addext subjectAltName=DNS:localhost -addext basicConstraints=CA:FALSE -keyout - -out -";
        let made = Command::new("openssl").args(arguments.split_whitespace()).output();
        let made = made.unwrap_or_else(|error| panic!("openssl: {error}: run `make tools`"));
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let file = std::env::temp_dir().join(format!("upstream-{name}-{}.pem", std::process::id()));
        fs::write(&file, &made.stdout).unwrap();
        Self { file, pem: made.stdout }
    }

    fn path(&self) -> Option<String> {
        self.file.to_str().map(str::to_owned)
    }

    /// Serves `app` with it, over the protocols of `alpn`.
    async fn serve(&self, alpn: &[&[u8]], app: Router) -> SocketAddr {
        self.serve_to(None, alpn, app).await
    }

    /// The same to who shows one of the certificates `clients`.
    async fn serve_to(&self, clients: Option<&Self>, alpn: &[&[u8]], app: Router) -> SocketAddr {
        let chain = vec![CertificateDer::from_pem_slice(&self.pem).unwrap()];
        let provider = Arc::new(ring::default_provider());
        let verifier = clients.map_or_else(WebPkiClientVerifier::no_client_auth, |clients| {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(&clients.pem).unwrap()).unwrap();
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider)).build().unwrap()
        });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, PrivateKeyDer::from_pem_slice(&self.pem).unwrap())
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(app.clone()));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let stream = TokioIo::new(stream);
                    if is_http2 {
                        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        let _ = connection.serve_connection(stream, service).await;
                    } else {
                        let _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
                    }
                });
            }
        });
        address
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

fn secure(address: SocketAddr, ca_file: Option<String>) -> Result<Upstream, UpstreamError> {
    let url = format!("https://localhost:{}", address.port());
    client_of(&url, &Registry::new(), |settings| settings.ca_file = ca_file)
}

async fn version(request: axum::extract::Request) -> String {
    format!("{:?}", request.version())
}

#[tokio::test]
async fn a_call_over_https_speaks_http2_where_the_other_side_does() {
    let certificate = Certificate::new("version");
    let cases: [(&[&[u8]], &str); 3] =
        [(&[b"h2", b"http/1.1"], "HTTP/2.0"), (&[b"http/1.1"], "HTTP/1.1"), (&[], "HTTP/1.1")];
    for (alpn, expected) in cases {
        let address = certificate.serve(alpn, Router::new().fallback(version)).await;
        let upstream = secure(address, certificate.path()).unwrap();
        for _ in 0..2 {
            assert_eq!(upstream.get("/").await.unwrap().body(), expected);
        }
    }
}

#[tokio::test]
async fn a_call_over_https_carries_what_is_left_of_the_deadline_and_ends_with_it() {
    let certificate = Certificate::new("deadline");
    let told = async |headers: HeaderMap| headers["x-request-timeout"].to_str().map(str::to_owned).unwrap();
    let app = Router::new()
        .route("/told", axum::routing::get(told))
        .route("/never", axum::routing::get(std::future::pending::<()>));
    let upstream = secure(certificate.serve(&[b"h2"], app).await, certificate.path()).unwrap();
    let left: u64 = upstream.get_json("/told").await.unwrap();
    assert!((4000..=5000).contains(&left), "{left}");
    let deadline = within(Instant::now() + Duration::from_millis(100));
    let error = request::scope(deadline, upstream.get("/never")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Timeout), "{error:?}");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused_and_the_reason_says_so() {
    let (certificate, other) = (Certificate::new("served"), Certificate::new("other"));
    let address = certificate.serve(&[b"h2"], Router::new().fallback(version)).await;
    for ca_file in [None, other.path()] {
        let error = secure(address, ca_file).unwrap().get("/").await.unwrap_err();
        assert!(matches!(error, UpstreamError::Connect(_)), "{error:?}");
        assert!(error.reason().contains("invalid peer certificate"), "{}", error.reason());
    }
}

#[tokio::test]
async fn an_upstream_that_asks_for_a_certificate_gets_it() {
    let (certificate, client) = (Certificate::new("asks"), Certificate::new("client"));
    let address = certificate.serve_to(Some(&client), &[b"http/1.1"], Router::new().fallback(version)).await;
    let url = format!("https://localhost:{}", address.port());
    let with = |file: Option<String>| {
        client_of(&url, &Registry::new(), |settings| {
            settings.ca_file = certificate.path();
            settings.client_certificate_file.clone_from(&file);
            settings.client_key_file = file;
        })
    };
    assert!(with(None).unwrap().get("/").await.is_err());
    assert_eq!(with(client.path()).unwrap().get("/").await.unwrap().body(), "HTTP/1.1");
    let error = with(Some("/nowhere/a.pem".into())).unwrap_err();
    assert!(matches!(error, UpstreamError::ClientCertificate(_)), "{error:?}");
}

#[tokio::test]
async fn another_name_than_the_certificates_is_refused() {
    let certificate = Certificate::new("name");
    let address = certificate.serve(&[b"h2"], Router::new().fallback(version)).await;
    let url = format!("https://127.0.0.1:{}", address.port());
    let upstream = client_of(&url, &Registry::new(), |settings| settings.ca_file = certificate.path()).unwrap();
    let reason = upstream.get("/").await.unwrap_err().reason();
    assert!(reason.contains("not valid for name"), "{reason}");
}

#[tokio::test]
async fn a_peer_that_does_not_shake_hands_is_left_after_the_time_of_connecting() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let upstream = client_of(&url, &Registry::new(), |settings| {
        settings.connect_timeout = values::Duration::from_millis(100);
        settings.retries = 0;
    });
    let reason = upstream.unwrap().get("/").await.unwrap_err().reason();
    assert!(reason.contains("no connection within connect_timeout"), "{reason}");
}

#[tokio::test]
async fn a_byte_order_mark_before_the_authorities_is_no_part_of_them() {
    let certificate = Certificate::new("marked");
    let pem = String::from_utf8(certificate.pem.clone()).unwrap();
    let (_, own) = pem.split_once("-----BEGIN CERTIFICATE-----").unwrap();
    fs::write(&certificate.file, format!("\u{feff}-----BEGIN CERTIFICATE-----{own}")).unwrap();
    secure(SocketAddr::from(([127, 0, 0, 1], 1)), certificate.path()).map(drop).expect("an upstream");
}

/// PEM whose content is no certificate: a system's bundle may have one root that rustls does not read.
const UNREADABLE: &str = "-----BEGIN CERTIFICATE-----\nAQIDBAUG\n-----END CERTIFICATE-----\n";

#[tokio::test]
async fn an_authority_that_cannot_be_read_does_not_keep_the_others_of_its_bundle_out() {
    let certificate = Certificate::new("bundle");
    let address = certificate.serve(&[b"h2"], Router::new().fallback(version)).await;
    for bundle in [[UNREADABLE.as_bytes(), &certificate.pem], [&certificate.pem, UNREADABLE.as_bytes()]] {
        fs::write(&certificate.file, bundle.concat()).unwrap();
        let upstream = secure(address, certificate.path()).expect("an upstream");
        assert_eq!(upstream.get("/").await.unwrap().status(), StatusCode::OK);
    }
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_is_an_error_of_the_start() {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let empty = std::env::temp_dir().join(format!("upstream-empty-{}.pem", std::process::id()));
    fs::write(&empty, "no certificate").unwrap();
    let unreadable = std::env::temp_dir().join(format!("upstream-unreadable-{}.pem", std::process::id()));
    fs::write(&unreadable, UNREADABLE).unwrap();
    for (file, cause) in [
        ("/nowhere/ca.pem", "No such file"),
        (empty.to_str().unwrap(), "it has no certificate"),
        (unreadable.to_str().unwrap(), "it has no certificate that can be read"),
    ] {
        let error = secure(address, Some(file.to_owned())).unwrap_err();
        assert!(matches!(error, UpstreamError::CaFile(_)), "{error:?}");
        assert!(error.reason().contains(cause), "{}", error.reason());
    }
    for file in [empty, unreadable] {
        fs::remove_file(file).unwrap();
    }
}
