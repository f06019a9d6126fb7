//! What an idle connection inside TLS may still hold: a drain asks before it closes one.

use std::{
    future::poll_fn,
    io::Write,
    pin::Pin,
    process::Command,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::io::{AsyncRead, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{
    certificates::{Content, configure},
    described,
    stream::{Raw, Secured},
};
use crate::{
    connection::{Connections, Metrics, Rules, Stream, drive::HEAD_GRACE},
    transports::settings::Settings,
};

fn pem() -> Vec<u8> {
    pem_for("DNS:localhost")
}

/// A certificate for these names, and its key, by OpenSSL.
fn pem_for(names: &str) -> Vec<u8> {
    let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
                     -addext basicConstraints=CA:FALSE -keyout - -out - -addext";
    let names = format!("subjectAltName={names}");
    let made = Command::new("openssl").args(arguments.split_whitespace()).arg(names).output();
    let made = made.unwrap_or_else(|error| panic!("openssl: {error}: run `make tools`"));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    made.stdout
}

#[test]
fn a_byte_order_mark_before_a_certificate_or_a_key_is_no_part_of_it() {
    let marked = ["\u{feff}".as_bytes(), &pem()].concat();
    let content = Content { certificate: marked.clone(), key: marked, client_ca: None };
    configure(&Settings::default(), &content).map(drop).expect("a configuration");
}

#[test]
fn a_certificate_has_the_uris_and_dns_names_that_it_is_for() {
    let pem = pem_for("URI:spiffe://cluster.local/ns/shop/sa/web,DNS:web.shop,URI:https://shop.example,IP:127.0.0.1");
    let certificate = described(&CertificateDer::from_pem_slice(&pem).expect("a certificate"));
    assert_eq!(certificate.subject(), "CN=localhost");
    assert_eq!(certificate.uris(), ["spiffe://cluster.local/ns/shop/sa/web", "https://shop.example"]);
    assert_eq!(certificate.dns_names(), ["web.shop"]);
    assert_eq!(certificate.name(), "spiffe://cluster.local/ns/shop/sa/web");
    assert_eq!(described(b"none").name(), "");
}

/// Both ends of a connection whose handshake is done; the client's records are made by hand.
async fn connected() -> (Secured<DuplexStream>, DuplexStream, ClientConnection) {
    let pem = pem();
    let content = Content { certificate: pem.clone(), key: pem.clone(), client_ca: None };
    let (server, _): (ServerConfig, _) = configure(&Settings::default(), &content).expect("a configuration");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem).expect("a certificate")).expect("an anchor");
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (near, far) = duplex(64 * 1024);
    let entry = Connections::new(1, Rules::default(), Metrics::new(None)).enter(None);
    let name = ServerName::try_from("localhost").expect("a name");
    let (accepted, connected) = tokio::join!(
        TlsAcceptor::from(Arc::new(server)).accept(Raw::new(near, entry)),
        TlsConnector::from(Arc::new(client)).connect(name, far),
    );
    let (io, session) = connected.expect("a handshake").into_inner();
    (Secured::new(accepted.expect("a handshake")), io, session)
}

/// The record that carries `text`.
fn record(session: &mut ClientConnection, text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    session.writer().write_all(text).expect("room");
    session.write_tls(&mut bytes).expect("a vector takes all");
    bytes
}

/// Reads once, up to `length` bytes, as the connection's driver does.
fn read(stream: &mut Secured<DuplexStream>, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut buf = ReadBuf::new(&mut bytes);
    match Pin::new(stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut buf) {
        Poll::Ready(result) => result.map(|()| buf.filled().to_vec()).ok(),
        Poll::Pending => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_record_counts_as_input_for_a_moment() {
    let (mut stream, mut io, mut session) = connected().await;
    assert_eq!(read(&mut stream, 64), None);
    assert!(!stream.has_input(), "nothing came");
    let bytes = record(&mut session, b"GET / HTTP/1.1\r\n\r\n");
    let (head, rest) = bytes.split_at(bytes.len() / 2);
    io.write_all(head).await.expect("writing");
    assert_eq!(read(&mut stream, 64), None);
    assert!(stream.has_input(), "a request is on its way");
    io.write_all(rest).await.expect("writing");
    assert_eq!(read(&mut stream, 64).as_deref(), Some(&b"GET / HTTP/1.1\r\n\r\n"[..]));
    assert_eq!(read(&mut stream, 64), None);
    assert!(!stream.has_input());
    io.write_all(&record(&mut session, b"GET")[..9]).await.expect("writing");
    assert_eq!(read(&mut stream, 64), None);
    tokio::time::advance(HEAD_GRACE).await;
    assert!(!stream.has_input(), "a peer that stops in the middle of a record holds nothing up");
}

#[tokio::test]
async fn what_was_decrypted_and_not_read_counts_as_input() {
    let (mut stream, mut io, mut session) = connected().await;
    io.write_all(&record(&mut session, b"GET / HTTP/1.1\r\n\r\n")).await.expect("writing");
    assert_eq!(read(&mut stream, 3).as_deref(), Some(&b"GET"[..]));
    assert!(stream.has_input());
    assert_eq!(read(&mut stream, 64).map(|rest| rest.len()), Some(15));
    assert_eq!(read(&mut stream, 64), None);
    assert!(!stream.has_input());
}

#[tokio::test]
async fn a_peer_that_leaves_without_a_word_is_at_its_end() {
    let (mut stream, io, _) = connected().await;
    drop(io);
    let mut bytes = [0; 8];
    let mut buf = ReadBuf::new(&mut bytes);
    poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, &mut buf)).await.expect("no error");
    assert!(buf.filled().is_empty());
}
