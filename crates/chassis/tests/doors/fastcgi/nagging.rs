//! Peers that keep a connection moving with records of no request.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    CLOSED,
    peer::{KEEP, PARAMS, Peer, begin, pairs, record, request, server},
};
use crate::harness::at;

#[tokio::test]
async fn records_of_no_request_restart_no_timer() {
    let settings = [
        ("APP__SERVER__HEADER_TIMEOUT", "1s"),
        ("APP__SERVER__IDLE_TIMEOUT", "1500ms"),
        ("APP__SERVER__BODY_TIMEOUT", "1s"),
    ];
    let server = server(&settings).await;
    let (mut silent, mut half, mut idle, mut stalled) =
        (Peer::open(&server).await, Peer::open(&server).await, Peer::open(&server).await, Peer::open(&server).await);
    half.send(&begin(1, 1, KEEP)).await;
    idle.send(&request(1, KEEP, "GET", "/hello/")).await;
    idle.response(1).await;
    let variables = pairs(&[("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/upload"), ("CONTENT_LENGTH", "9")]);
    stalled.send(&[begin(1, 1, KEEP), record(PARAMS, 1, &variables, 0), record(PARAMS, 1, b"", 0)].concat()).await;
    let begun = Instant::now();
    let (silent, half, idle, stalled) =
        tokio::join!(nagged(&mut silent), nagged(&mut half), nagged(&mut idle), nagged(&mut stalled));
    // Each at its limit, with room for a busy machine; the peers go on for 20 s.
    for (name, ended) in [("silent", silent), ("half a head", half), ("idle", idle), ("a stalled body", stalled)] {
        let lasted = ended.unwrap_or_else(|| panic!("{name}: still open")) - begun;
        assert!(lasted < Duration::from_secs(6), "{name}: closed after {lasted:?}");
    }
    for (reason, count) in [("header_timeout", 2.0), ("idle_timeout", 1.0)] {
        server.series_becomes(CLOSED, &format!("reason=\"{reason}\""), count).await;
    }
}

/// Sends a record of no request every 200 ms for 20 s. Returns when the connection ended, if it did.
async fn nagged(peer: &mut Peer) -> Option<Instant> {
    let begun = Instant::now();
    let (mut from, mut to) = peer.0.split();
    let nagging = async {
        for turn in 1..=100 {
            at(begun + turn * Duration::from_millis(200)).await;
            let _ = to.write_all(&record(99, 0, b"", 0)).await;
        }
    };
    let ending = async {
        let mut chunk = [0; 1024];
        while from.read(&mut chunk).await.is_ok_and(|length| length > 0) {}
        Instant::now()
    };
    tokio::select! {
        ended = ending => Some(ended),
        () = nagging => None,
    }
}
