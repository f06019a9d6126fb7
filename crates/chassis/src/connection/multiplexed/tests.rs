//! What leaves together, and what a request does to those beside it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use axum::{
    Router,
    routing::{get, post},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex},
    task::{self, JoinHandle},
};

use super::{
    super::{Connections, Http, Limits, Metrics, Protocol, Rules, Settings},
    *,
};
use crate::{lifecycle::Lifecycle, middleware::routes::Routes};

/// A peer's socket that counts the writes.
struct Counted(DuplexStream, Arc<AtomicUsize>);

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.1.fetch_add(1, Relaxed);
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Stream for Counted {
    fn has_input(&self) -> bool {
        false
    }

    fn reset(&self) {}

    fn has_left(&self) -> bool {
        false
    }
}

struct Client {
    stream: DuplexStream,
    writes: Arc<AtomicUsize>,
    served: JoinHandle<()>,
}

impl Client {
    /// Behind the settings of both sides.
    async fn connect(router: Router) -> Self {
        let (stream, theirs) = duplex(64 * 1024);
        let writes = Arc::<AtomicUsize>::default();
        let limits = Limits::new(Arc::new(ArcSwap::from_pointee(Settings::default())), Lifecycle::new(None));
        let entry = Connections::new(1, Rules::default(), Metrics::new(None)).enter(None);
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let http = Http::new(Routes::from(router), limits);
        let served = tokio::spawn(http.serve(Counted(theirs, Arc::clone(&writes)), peer, entry));
        let mut client = Self { stream, writes, served };
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
        while client.frame().await != (4, 1, 0) {}
        client
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("it reads");
    }

    /// `GET` of `path` on each stream, in one write.
    async fn get(&mut self, requests: &[(u8, &str)]) {
        let mut bytes = Vec::new();
        for (stream, path) in requests {
            let length = u8::try_from(path.len()).expect("a short path");
            // `:method`, `:scheme`, `:path` and `:authority: a`.
            let fields = [&[0x82, 0x86, 0x04, length], path.as_bytes(), &[0x01, 1, b'a']].concat();
            let length = u8::try_from(fields.len()).expect("a short block");
            bytes.extend([0, 0, length, 1, 5, 0, 0, 0, *stream]);
            bytes.extend(fields);
        }
        self.send(&bytes).await;
    }

    /// The kind, the flags and the stream of the next frame.
    async fn frame(&mut self) -> (u8, u8, u8) {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.expect("a frame");
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        self.stream.read_exact(&mut payload).await.expect("its payload");
        (head[3], head[4], head[8])
    }

    /// Reads until `count` streams have ended. Those that were reset.
    async fn ends(&mut self, count: usize) -> Vec<u8> {
        let (mut ended, mut reset) = (0, Vec::new());
        while ended < count {
            let (kind, flags, stream) = self.frame().await;
            let is_reset = kind == 3;
            reset.extend(is_reset.then_some(stream));
            ended += usize::from(is_reset || (kind < 2 && flags & 1 != 0));
        }
        reset
    }
}

#[tokio::test]
async fn the_responses_to_one_read_leave_in_one_write() {
    let mut client = Client::connect(Router::new().route("/", get(async || "hello"))).await;
    let before = client.writes.load(Relaxed);
    client.get(&[1, 3, 5, 7, 9, 11, 13, 15].map(|stream| (stream, "/"))).await;
    assert_eq!(client.ends(8).await, [0; 0]);
    assert_eq!(client.writes.load(Relaxed) - before, 1);
}

#[tokio::test]
async fn a_response_that_is_late_holds_up_no_other() {
    let late = async || {
        tokio::task::yield_now().await;
        "late"
    };
    let router = Router::new().route("/", get(async || "hello")).route("/late", get(late));
    let mut client = Client::connect(router).await;
    client.get(&[(1, "/late"), (3, "/"), (5, "/late"), (7, "/")]).await;
    assert_eq!(client.ends(4).await, [0; 0]);
}

#[tokio::test]
async fn a_panic_ends_its_own_stream() {
    let router = Router::new().route("/", get(async || "hello")).route("/panic", get(async || -> String { panic!() }));
    let mut client = Client::connect(router).await;
    client.get(&[(1, "/panic"), (3, "/")]).await;
    assert_eq!(client.ends(2).await, [1]);
}

/// Longer than what one read may hold up its connection.
fn work() {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(2) {}
}

#[tokio::test]
async fn a_response_waits_for_no_work_of_others() {
    let mut client = Client::connect(Router::new().route("/", get(async || work()))).await;
    let before = client.writes.load(Relaxed);
    client.get(&[1, 3, 5].map(|stream| (stream, "/"))).await;
    assert_eq!(client.ends(3).await, [0; 0]);
    assert_eq!(client.writes.load(Relaxed) - before, 3);
}

/// A router whose handlers note the task that they begin on.
fn noted() -> (Router, Arc<Mutex<Vec<task::Id>>>) {
    let tasks = Arc::<Mutex<Vec<_>>>::default();
    let note = {
        let tasks = Arc::clone(&tasks);
        move || tasks.lock().expect("no panic").push(task::id())
    };
    let worked = note.clone();
    let router = Router::new().route("/", post(async move || note())).route(
        "/work",
        get(async move || {
            worked();
            work();
        }),
    );
    (router, tasks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_handler_that_blocked_the_next_are_tasks() {
    let (router, tasks) = noted();
    let mut client = Client::connect(router).await;
    for stream in [1, 3] {
        client.get(&[(stream, "/work")]).await;
        assert_eq!(client.ends(1).await, [0; 0]);
    }
    let own = client.served.id();
    assert_eq!(tasks.lock().expect("no panic").iter().map(|task| *task == own).collect::<Vec<_>>(), [true, false]);
}

/// It may block until the rest has come, which its connection reads.
#[tokio::test]
async fn a_request_whose_body_is_to_come_is_a_task() {
    let (router, tasks) = noted();
    let mut client = Client::connect(router).await;
    // `POST /`.
    client.send(&[0, 0, 6, 1, 4, 0, 0, 0, 1, 0x83, 0x86, 0x84, 0x01, 1, b'a']).await;
    client.send(&[0, 0, 0, 0, 1, 0, 0, 0, 1]).await;
    assert_eq!(client.ends(1).await, [0; 0]);
    assert_ne!(tasks.lock().expect("no panic")[0], client.served.id());
}
