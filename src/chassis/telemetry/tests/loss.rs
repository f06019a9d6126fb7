//! Collectors that do not do their part.

use std::{net::TcpListener, time::Instant};

use super::*;
use crate::chassis::telemetry::test::wait_until;

#[test]
fn a_hanging_collector_cannot_hold_up_the_flush() {
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    for otlp_protocol in [OtlpProtocol::Grpc, OtlpProtocol::HttpProtobuf] {
        let endpoint = format!("http://{}", hanging.local_addr().unwrap());
        let fixture = fixture(&Settings { otlp_protocol, ..to(endpoint) });
        fixture.serve(&context(TRACE, true), StatusCode::OK);
        let started = Instant::now();
        let _ = fixture.telemetry.flush(Duration::from_millis(500));
        assert!(started.elapsed() < Duration::from_millis(700), "{:?}", started.elapsed());
        assert_eq!(fixture.dropped("traces"), 2);
        assert_eq!(fixture.lines().len(), 2);
    }
}

#[test]
fn an_absent_collector_is_counted() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fixture = fixture(&to(format!("http://{gone}")));
    for _ in 0..10 {
        fixture.serve(&context(TRACE, true), StatusCode::OK);
    }
    wait_until("the spans to be counted", || fixture.dropped("traces") == 20);
    assert!(fixture.telemetry.flush(Duration::from_secs(10)));
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
    assert_eq!(fixture.dropped("traces"), 6_000);
}
