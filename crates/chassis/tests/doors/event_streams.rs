//! Event streams: nginx holds one back over HTTP/1.0 and with gzip, unless its answer says that it must not.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    harness::http::{Connection, Response},
    spoken::{Asked, Spoken, app, read},
};

const NAME: &str = "x-accel-buffering";

#[tokio::test]
async fn every_event_stream_says_that_nobody_may_hold_it_back() {
    let server = app(&[]).await;
    for (method, target, expected) in [
        ("HEAD", "/sse", Some("no")),
        ("GET", "/typed/text%2Fevent-stream", Some("no")),
        ("GET", "/typed/Text%2FEvent-Stream;charset=utf-8", Some("no")),
        ("GET", "/typed/text%2Fevent-stream?buffering=yes", Some("yes")),
        ("GET", "/typed/text%2Fplain", None),
        ("GET", "/stream", None),
    ] {
        for spoken in Spoken::ALL {
            let answer = spoken.ask(&server, Asked { method, target, ..Asked::default() }).await;
            assert_eq!((answer.status, answer.header(NAME)), (200, expected), "{spoken:?} {target}");
        }
    }
}

/// One that never ends.
#[tokio::test]
async fn a_stream_says_so_before_its_first_event() {
    let server = app(&[]).await;
    for spoken in [Spoken::Http10, Spoken::Http1] {
        let mut connection = Connection::over(spoken.connect(&server).await);
        connection.send(&spoken.written(Asked { method: "GET", target: "/sse", ..Asked::default() })).await.unwrap();
        let head = connection.receive_head().await.expect("a head");
        assert_eq!(head.header(NAME), Some("no"), "{spoken:?}");
    }
    let mut stream = Spoken::Uwsgi.connect(&server).await;
    stream
        .write_all(&Spoken::Uwsgi.written(Asked { method: "GET", target: "/sse", ..Asked::default() }))
        .await
        .unwrap();
    let mut all = Vec::new();
    while !all.windows(4).any(|four| four == b"\r\n\r\n") {
        assert!(stream.read_buf(&mut all).await.unwrap() > 0, "a head");
    }
    let head: Response = read(&all);
    assert_eq!(head.header(NAME), Some("no"));
}
