//! Who is let in, who is not, and how long anybody may take.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use super::{
    Secure,
    tunnel::{Tunnel, client, connect},
};
use crate::harness::{
    exclusive,
    load::{Load, Mode},
    shared, tools,
};

/// A `ClientHello` that offers `minor` (2: TLS 1.1) at most, with ciphers and curves of that time.
fn hello(minor: u8, signatures: bool) -> Vec<u8> {
    let ciphers = [0xc0, 0x13, 0xc0, 0x14, 0x00, 0x2f, 0x00, 0x35];
    let extensions = [
        // supported_groups: secp256r1.
        &[0, 10, 0, 4, 0, 2, 0, 23][..],
        // ec_point_formats: uncompressed.
        &[0, 11, 0, 2, 1, 0],
        // signature_algorithms, which came with TLS 1.2: ecdsa_secp256r1_sha256.
        if signatures { &[0, 13, 0, 4, 0, 2, 4, 3] } else { &[] },
    ]
    .concat();
    let mut body = vec![3, minor];
    body.extend([7; 32]);
    body.extend([0, 0, 8]);
    body.extend(ciphers);
    body.extend([1, 0, 0, u8::try_from(extensions.len()).expect("short")]);
    body.extend(extensions);
    let length = u8::try_from(body.len()).expect("short");
    let handshake = [&[1, 0, 0, length][..], &body].concat();
    [&[22, 3, 1, 0, length + 4][..], &handshake].concat()
}

/// Alerts of RFC 8446, section 6.2.
const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;

#[tokio::test]
async fn versions_below_1_2_are_refused_with_an_alert() {
    let _turn = shared().await;
    let secure = Secure::start(&[]).await;
    for minor in [0, 1, 2] {
        for (signatures, alert) in [(true, PROTOCOL_VERSION), (false, HANDSHAKE_FAILURE)] {
            let mut stream = TcpStream::connect(secure.address).await.expect("connecting");
            stream.write_all(&hello(minor, signatures)).await.expect("sending");
            let mut answer = Vec::new();
            let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.expect("an end");
            read.expect("no reset before the alert");
            assert_eq!((answer[0], answer.last()), (21, Some(&alert)), "3.{minor}: {answer:?}");
        }
    }
    secure.server.series_becomes("tls_handshake_failures_total", "kind=\"version\"", 6.0).await;
    secure.closed("handshake", 6.0).await;
}

async fn openssl(secure: &Secure, arguments: &[&str]) -> tools::Output {
    let (address, authority) = (secure.address.to_string(), secure.authority.certificate());
    let ours = ["s_client", "-connect", &address, "-CAfile", super::text(&authority), "-verify_return_error", "-brief"];
    tools::run("openssl", &[&ours, arguments].concat()).await
}

#[tokio::test]
async fn openssl_agrees_on_1_2_and_1_3_alone() {
    let _turn = shared().await;
    let secure = Secure::start(&[]).await;
    for (version, code) in [("-tls1", 1), ("-tls1_1", 1), ("-tls1_2", 0), ("-tls1_3", 0)] {
        // OpenSSL itself thinks old versions too weak, unless it is told otherwise.
        let met = openssl(&secure, &[version, "-cipher", "DEFAULT@SECLEVEL=0"]).await;
        assert_eq!(met.code, code, "{version}: {}", met.text);
        assert!(code == 0 || met.text.contains("alert handshake failure"), "{version}: {}", met.text);
    }
    let strict = Secure::start(&[("APP__TLS__MIN_VERSION", "1.3")]).await;
    assert_eq!(openssl(&strict, &["-tls1_2"]).await.code, 1);
    assert_eq!(openssl(&strict, &["-tls1_3"]).await.code, 0);
}

#[tokio::test]
async fn openssl_agrees_on_safe_ciphers_and_curves_alone() {
    let _turn = shared().await;
    let secure = Secure::start(&[]).await;
    for (cipher, code) in [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", 0),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", 0),
        // CBC, with forward secrecy.
        ("ECDHE-ECDSA-AES128-SHA", 1),
        ("ECDHE-ECDSA-AES256-SHA384", 1),
        // Neither; the certificate alone would refuse it as well.
        ("AES128-SHA", 1),
    ] {
        let met = openssl(&secure, &["-tls1_2", "-cipher", &format!("{cipher}:@SECLEVEL=0")]).await;
        assert_eq!(met.code, code, "{cipher}: {}", met.text);
    }
    for (curve, code) in [("X25519", 0), ("P-256", 0), ("P-384", 1), ("P-521", 1)] {
        let met = openssl(&secure, &["-groups", curve]).await;
        assert_eq!(met.code, code, "{curve}: {}", met.text);
    }
    let met = openssl(&secure, &["-groups", "P-384:X25519"]).await;
    assert!(met.text.contains("X25519"), "not the client's first one: {}", met.text);
}

#[tokio::test]
async fn a_client_chooses_its_protocol_by_alpn() {
    let _turn = shared().await;
    let secure = Secure::start(&[]).await;
    for (arguments, version) in [(&["--http2"][..], "2"), (&["--http1.1"], "1.1"), (&["--no-alpn"], "1.1")] {
        let write = ["--output", "/dev/null", "--write-out", "%{http_code} %{http_version}"];
        let got = secure.curl(&[arguments, &write].concat(), "/hello/").await;
        assert_eq!(got.text, format!("200 {version}"), "{arguments:?}");
    }
    let got = secure.curl(&[], "/echo?a=b").await;
    assert!(got.text.contains("\"scheme\":\"https\"") && got.text.contains("\"client\":\"127.0.0.1\""), "{}", got.text);
    let met = openssl(&secure, &["-alpn", "spdy/3"]).await;
    assert!(met.code == 1 && met.text.contains("no application protocol"), "{}", met.text);
    secure.server.series_becomes("tls_handshake_failures_total", "kind=\"alpn\"", 1.0).await;
}

#[tokio::test]
async fn what_is_no_tls_is_refused_and_counted() {
    let _turn = shared().await;
    let secure = Secure::start(&[]).await;
    let mut stream = TcpStream::connect(secure.address).await.expect("connecting");
    stream.write_all(b"GET /hello/ HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("sending");
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.expect("an end");
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    secure.server.series_becomes("tls_handshake_failures_total", "kind=\"not_tls\"", 1.0).await;
    secure.closed("handshake", 1.0).await;
}

/// Half of them silent, half with the beginning of a `ClientHello`.
async fn half_open(secure: &Secure, count: usize) -> Vec<TcpStream> {
    let part = &hello(3, true)[..20];
    let mut streams = Vec::new();
    for index in 0..count {
        let mut stream = TcpStream::connect(secure.address).await.expect("connecting");
        if index % 2 == 0 {
            stream.write_all(part).await.expect("sending");
        }
        streams.push(stream);
    }
    streams
}

/// All of them end; how long the last one took.
async fn ended(streams: Vec<TcpStream>) -> Duration {
    let begun = Instant::now();
    let mut ends = JoinSet::new();
    for mut stream in streams {
        ends.spawn(async move { while stream.read(&mut [0; 64]).await.is_ok_and(|length| length > 0) {} });
    }
    timeout(Duration::from_secs(30), ends.join_all()).await.expect("all half-open handshakes end");
    begun.elapsed()
}

#[tokio::test]
async fn a_thousand_half_open_handshakes_end_in_bound_while_others_are_served() {
    let _turn = exclusive().await;
    let secure =
        Secure::start(&[("APP__SERVER__HEADER_TIMEOUT", "2s"), ("APP__SERVER__MAX_CONNECTIONS", "2000")]).await;
    let tunnel = Tunnel::to(secure.address, client(&secure.authority.certificate(), None)).await;
    let load = Load::start(tunnel.address, 4, Mode::KeepAlive, "/hello/");
    let last = ended(half_open(&secure, 1_000).await).await;
    let outcomes = load.stop().await;
    println!("1,000 half-open handshakes ended after {last:?}; meanwhile {outcomes}");
    assert_eq!(outcomes.failed(), 0, "{outcomes}");
    assert!(outcomes.ok > 100, "{outcomes}");
    // The bound is the timeout; a busy machine may be late.
    assert!(last < Duration::from_secs(10), "{last:?}");
    secure.closed("header_timeout", 1_000.0).await;
}

#[tokio::test]
async fn a_dripped_handshake_ends_in_bound() {
    let _turn = shared().await;
    let secure = Secure::start(&[("APP__SERVER__HEADER_TIMEOUT", "1s")]).await;
    let stream = TcpStream::connect(secure.address).await.expect("connecting");
    let (mut read, mut write) = stream.into_split();
    let begun = Instant::now();
    // A record for each byte of the hello, and always the head of the next.
    let drip = async {
        let mut rest = vec![22, 3, 1];
        for byte in &hello(3, true)[5..] {
            rest.extend([0, 1, *byte, 22, 3, 1]);
            if write.write_all(&rest).await.is_err() {
                return;
            }
            rest.clear();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let end = async { while read.read(&mut [0; 64]).await.is_ok_and(|length| length > 0) {} };
    tokio::select! {
        () = end => {}
        () = async { drip.await; std::future::pending().await } => {}
    }
    // It would take 15 s.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    secure.closed("header_timeout", 1.0).await;
}

#[tokio::test]
async fn half_open_handshakes_give_up_their_places() {
    let _turn = shared().await;
    // They would stay for a minute.
    let secure = Secure::start(&[("APP__SERVER__HEADER_TIMEOUT", "1m"), ("APP__SERVER__MAX_CONNECTIONS", "16")]).await;
    let streams = half_open(&secure, 100).await;
    for _ in 0..5 {
        let got = secure.curl(&[], "/hello/").await;
        assert_eq!(got.text, "Hello, World!\n");
    }
    secure.closed("yielded", 85.0).await;
    drop(streams);
}

#[tokio::test]
async fn an_end_is_told_and_a_broken_answer_has_none() {
    let _turn = shared().await;
    let secure = Secure::start(&[("APP__SERVER__MAX_REQUESTS_PER_CONNECTION", "1")]).await;
    let config = client(&secure.authority.certificate(), None);
    for (path, whole) in [("/hello/", true), ("/bad-body?length=true", false), ("/bad-body", false)] {
        // HTTP/1.0 has no chunks: only TLS tells a whole answer of unknown length from a part of one.
        let mut stream = connect(secure.address, &config).await.expect("a handshake");
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.expect("sending");
        let mut answer = Vec::new();
        let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.expect("an end");
        assert_eq!(read.is_ok(), whole, "{path}: {read:?} {}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test]
async fn half_a_record_holds_no_idle_connection_open() {
    let _turn = shared().await;
    let secure = Secure::start(&[("APP__SERVER__IDLE_TIMEOUT", "300ms")]).await;
    let config = client(&secure.authority.certificate(), None);
    let mut stream = connect(secure.address, &config).await.expect("a handshake");
    stream.write_all(b"GET /hello/ HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("sending");
    let mut answer = [0; 1024];
    assert!(stream.read(&mut answer).await.expect("an answer") > 0);
    // The head of a record, and a tenth of it.
    let raw = stream.get_mut().0;
    raw.write_all(&[23, 3, 3, 0, 100, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).await.expect("sending");
    let end = async { while stream.read(&mut answer).await.is_ok_and(|length| length > 0) {} };
    timeout(Duration::from_secs(10), end).await.expect("it is closed");
    secure.closed("idle_timeout", 1.0).await;
}
