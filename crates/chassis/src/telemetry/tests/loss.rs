//! Collectors that do not do their part.

use std::{
    net::{SocketAddr, TcpListener},
    time::Instant,
};

use socket2::{Domain, Socket, Type};

use super::*;
use crate::telemetry::test::wait_until;

#[test]
fn a_hanging_collector_cannot_hold_up_the_flush() {
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    for otlp_protocol in [OtlpProtocol::Grpc, OtlpProtocol::HttpProtobuf] {
        let endpoint = format!("http://{}", hanging.local_addr().unwrap());
        let fixture = fixture(&Settings { otlp_protocol, ..to(endpoint) });
        fixture.serve(&context(TRACE, true), StatusCode::OK);
        let started = Instant::now();
        let _ = fixture.telemetry.flush(Duration::from_millis(500));
        // Well below the 5 s of an export, on a busy machine too.
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        wait_until("the spans to be counted", || fixture.dropped("traces") == 2);
        assert_eq!(fixture.lines().len(), 2);
    }
}

#[test]
fn an_absent_collector_is_counted() {
    // Bound and not listening: refuses connections, and no other test gets the port.
    let gone = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    gone.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = gone.local_addr().unwrap().as_socket().unwrap();
    let fixture = fixture(&to(format!("http://{address}")));
    for _ in 0..10 {
        fixture.serve(&context(TRACE, true), StatusCode::OK);
    }
    // It may still come: they are tried again until the flush is over.
    assert!(fixture.telemetry.flush(Duration::from_secs(1)));
    assert_eq!(fixture.dropped("traces"), 20);
}

#[test]
fn a_full_queue_drops_and_counts() {
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let fixture = fixture(&to(format!("http://{}", hanging.local_addr().unwrap())));
    for _ in 0..3_000 {
        fixture.serve(&context(TRACE, true), StatusCode::OK);
    }
    // 6,000 spans against 4,096 in the queue and at most one batch of 512 on its way.
    assert!((1_392..=1_904).contains(&fixture.dropped("traces")), "{}", fixture.dropped("traces"));
    let _ = fixture.telemetry.flush(Duration::from_millis(500));
    wait_until("all to be counted", || fixture.dropped("traces") == 6_000);
}
