//! Interim responses: some are skipped, too many end the call, and none wins time.

use super::*;

/// Answers each request with `interim`, time and again, and then with 200. Counts what the peer took before it left.
async fn serve_interim(interim: &'static str, count: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let left = Arc::new(AtomicUsize::new(0));
    let peers = Arc::clone(&left);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let peers = Arc::clone(&peers);
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                for _ in 0..count {
                    if stream.write_all(interim.as_bytes()).await.is_err() {
                        peers.fetch_add(1, SeqCst);
                        return;
                    }
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            });
        }
    });
    (address, left)
}

#[tokio::test]
async fn an_answer_after_some_interim_ones_is_taken() {
    let (address, _) = serve_interim("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", 100).await;
    let (upstream, _) = client(address, |_| {});
    assert_eq!(upstream.get("/").await.unwrap().status(), 200);
}

#[tokio::test]
async fn interim_answers_without_end_end_the_call_and_its_connection() {
    for interim in ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"] {
        let (address, left) = serve_interim(interim, usize::MAX).await;
        let (upstream, registry) = client(address, |_| {});
        let begun = Instant::now();
        let error = upstream.get("/").await.unwrap_err();
        assert!(matches!(error, UpstreamError::Interim), "{error:?}");
        // Long before the call's timeout of 5 s.
        assert!(begun.elapsed() < Duration::from_secs(3), "took {:?}", begun.elapsed());
        let ended = async {
            while left.load(SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), ended).await.expect("the connection is still read");
        let text = text(&registry);
        assert!(text.contains(r#"outcome="server_error",upstream="rates"} 1"#), "{text}");
    }
}

#[tokio::test]
async fn interim_answers_win_no_time() {
    // One after the other, and far fewer than are too many.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        while stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await.is_ok() {
            pace.tick().await;
        }
    });
    let (upstream, _) = client(address, |settings| settings.timeout = values::Duration::from_millis(300));
    let begun = Instant::now();
    let error = upstream.get("/").await.unwrap_err();
    assert!(matches!(error, UpstreamError::Timeout), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(3), "took {:?}", begun.elapsed());
}
