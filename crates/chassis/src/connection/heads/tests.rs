//! Which heads end, and which go on.

use std::{
    sync::Weak,
    task::{Wake, Waker},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::advance,
};

use super::{
    super::{
        Metrics, Rules,
        frames::Half,
        io::{Io, Slot, Watch},
    },
    *,
};

/// All their heads may hold `most` bytes.
fn connections(most: usize) -> Arc<Connections> {
    Connections::new(2, Rules { heads: most, ..Rules::default() }, Metrics::new(None))
}

fn total(connections: &Connections) -> usize {
    connections.heads.total()
}

fn head(bytes: usize) -> Arc<State> {
    let state = State::new();
    state.received(bytes);
    Arc::new(state)
}

/// Which of `groups` end at a limit of `most`; each head has its bytes that count.
fn chosen(most: usize, groups: &[&[usize]]) -> Vec<(usize, usize)> {
    let states: Vec<Vec<_>> = groups.iter().map(|all| all.iter().map(|bytes| head(*bytes)).collect()).collect();
    let mut begun = Instant::now() - Duration::from_secs(1);
    let mut next = || {
        begun += Duration::from_millis(1);
        begun
    };
    let candidates = states
        .iter()
        .zip(groups)
        .map(|(states, all)| states.iter().zip(*all).map(|(state, bytes)| (next(), *bytes, state)).collect());
    let chosen = choose(most, candidates.collect());
    let place = |(_, one): &(Instant, Arc<State>)| {
        let group = states.iter().position(|all| all.iter().any(|state| Arc::ptr_eq(state, one))).expect("a group");
        (group, states[group].iter().position(|state| Arc::ptr_eq(state, one)).expect("one of it"))
    };
    chosen.iter().map(place).collect()
}

#[test]
fn the_oldest_head_of_the_address_with_the_most_bytes_ends_first() {
    assert_eq!(chosen(100, &[&[50], &[20, 20, 20]]), [(1, 0)]);
    assert_eq!(chosen(60, &[&[50], &[20, 20, 20]]), [(1, 0), (0, 0)]);
    assert_eq!(chosen(110, &[&[50], &[20, 20, 20]]), []);
}

#[test]
fn a_head_in_transit_does_not_end() {
    let (old, new) = (head(200), head(200));
    let begun = Instant::now();
    let groups = vec![vec![(begun, 200, &new)], vec![(begun - Duration::from_secs(1), 100, &old)]];
    let chosen = choose(150, groups);
    assert_eq!(chosen.len(), 1);
    assert!(Arc::ptr_eq(&chosen[0].1, &old));
}

#[tokio::test]
async fn only_what_is_above_the_first_8_kib_of_an_incomplete_head_counts() {
    let connections = connections(1_000_000);
    let entry = connections.enter(None);
    let total = || total(&connections);
    entry.received(FREE);
    assert_eq!(total(), 0);
    entry.received(100);
    assert_eq!(total(), 100);
    entry.begin_request();
    entry.received(1_000_000);
    assert_eq!(total(), 0, "bytes of a body");
    entry.state.end_part();
    entry.received(FREE + 7);
    assert_eq!(total(), 7);
    entry.state.resume(Phase::Idle, Instant::now());
    entry.received(FREE + 5);
    assert_eq!(total(), 5, "another head");
    drop(entry);
    assert_eq!(total(), 0);
}

/// It was chosen, and is complete before it is told so.
#[tokio::test(start_paused = true)]
async fn a_head_that_was_chosen_ends_and_not_the_next_one() {
    let entry = connections(0).enter(None);
    entry.received(FREE + 1);
    let chosen = entry.state.since();
    entry.state.end_head(chosen);
    assert!(entry.state.head_must_end());
    entry.begin_request();
    advance(ON_ITS_WAY).await;
    entry.state.end_part();
    entry.received(FREE + 1);
    assert!(!entry.state.head_must_end(), "told before it was complete");
    entry.state.end_head(chosen);
    assert!(!entry.state.head_must_end(), "told after it was complete");
}

/// At the limit, the second head that a scan wakes goes over it again, so that the first one waits, and is complete at once.
struct Driver {
    own: Weak<Entry>,
    others: Weak<Entry>,
    woken: Arc<AtomicUsize>,
}

impl Wake for Driver {
    fn wake(self: Arc<Self>) {
        let (own, other) = (self.own.upgrade().expect("open"), self.others.upgrade().expect("open"));
        if self.woken.fetch_add(1, SeqCst) == 1 {
            own.received(100);
            assert!(other.head_waits());
            own.begin_request();
        }
    }
}

#[tokio::test]
async fn a_head_that_waits_while_a_scan_wakes_the_others_is_woken() {
    let connections = connections(50);
    let heads = [(); 2].map(|()| connections.enter(None));
    let woken = Arc::default();
    for (own, others) in [(&heads[0], &heads[1]), (&heads[1], &heads[0])] {
        own.received(FREE + 20);
        own.state.head.waits.store(true, SeqCst);
        let [own_weak, others] = [own, others].map(Arc::downgrade);
        own.state.register(&Waker::from(Arc::new(Driver { own: own_weak, others, woken: Arc::clone(&woken) })));
    }
    connections.heads.looks.store(true, SeqCst);
    Arc::clone(&connections).end_heads().await;
    assert_eq!(woken.load(SeqCst), 2);
    assert!(heads.iter().all(|one| !one.state.head.waits.load(SeqCst)), "one is not woken");
    assert!(!connections.heads.looks.load(SeqCst));
}

/// A connection of HTTP/1, and its peer.
fn connected(connections: &Arc<Connections>) -> (Arc<Entry>, Io<DuplexStream>, DuplexStream) {
    let entry = connections.enter(None);
    let (client, server) = duplex(100_000);
    let watch = Watch::Bodies(None, false);
    let io = Io::new(server, Bytes::new(), Arc::clone(&entry), Slot::default(), 0, watch);
    (entry, io, client)
}

/// They were held back with the end of the request before, and count again for their own head. A body comes with its length,
/// if that is known.
async fn bytes_that_came_with(head: &str, body: Option<(&str, Option<u64>)>) {
    let connections = connections(1_000_000);
    let (entry, mut io, mut client) = connected(&connections);
    let second = format!("GET / HTTP/1.1\r\nx-long: {}", "x".repeat(24_000));
    let text = body.map_or("", |(text, _)| text);
    client.write_all(format!("{head}{text}{second}").as_bytes()).await.expect("sends");
    let mut buf = vec![0; 40_000];
    assert_eq!(io.read(&mut buf).await.expect("reads"), head.len(), "the head alone");
    entry.begin_request();
    if let Some((_, length)) = body {
        assert!(entry.state.bodies.expect(length));
        assert_eq!(io.read(&mut buf).await.expect("reads"), text.len(), "the body alone");
    }
    assert_eq!(total(&connections), 0);
    entry.state.end_part();
    for _ in 0..2 {
        assert_eq!(io.read(&mut buf[..12_000]).await.expect("reads"), 12_000);
        assert_eq!(total(&connections), second.len() - FREE, "behind {head}{text}");
    }
}

#[tokio::test]
async fn bytes_that_came_with_the_request_before_count() {
    bytes_that_came_with("GET / HTTP/1.1\r\n\r\n", None).await;
    bytes_that_came_with("POST / HTTP/1.1\r\n\r\n", Some(("abc", Some(3)))).await;
    bytes_that_came_with("POST / HTTP/1.1\r\n\r\n", Some(("0\r\n\r\n", None))).await;
}

/// The head came alone, and was not held back.
#[tokio::test]
async fn bytes_that_came_with_the_body_of_a_get_count() {
    let connections = connections(1_000_000);
    let (entry, mut io, mut client) = connected(&connections);
    let mut buf = vec![0; 40_000];
    let head = b"GET / HTTP/1.1\r\n\r\n";
    client.write_all(head).await.expect("sends");
    assert_eq!(io.read(&mut buf).await.expect("reads"), head.len());
    entry.begin_request();
    assert!(entry.state.bodies.expect(Some(20_000)));
    client.write_all(&vec![b'x'; 44_000]).await.expect("sends");
    assert_eq!(io.read(&mut buf).await.expect("reads"), 20_000, "the body alone");
    entry.state.end_part();
    assert_eq!(io.read(&mut buf).await.expect("reads"), 20_000, "of the next head");
    assert_eq!(total(&connections), 20_000 - FREE);
}

/// Of streams beside it nothing counts, and none of them frees it.
#[tokio::test(start_paused = true)]
async fn what_is_half_here_over_http2_counts_and_ends() {
    let connections = connections(50);
    let entry = connections.enter(None);
    entry.state.multiplex();
    entry.state.set_half(Some(Half::Frame));
    entry.holds(SMALL);
    assert_eq!(total(&connections), 0);
    entry.holds(SMALL + 1);
    entry.begin_request();
    assert_eq!(total(&connections), SMALL + 1);
    assert!(entry.head_waits());
    assert!(!entry.state.head_must_end(), "it may be in transit");
    sleep(ON_ITS_WAY + 2 * AGAIN).await;
    assert!(entry.state.head_must_end());
    // The rest of it comes, and half of another.
    entry.state.set_half(Some(Half::Frame));
    entry.holds(5);
    assert!(!entry.state.head_must_end());
    assert_eq!(total(&connections), 0);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_counts_and_ends() {
    let connections = connections(50);
    let entry = connections.enter(None);
    entry.shakes(FREE);
    entry.shakes(100);
    assert_eq!(total(&connections), 100);
    sleep(ON_ITS_WAY + 2 * AGAIN).await;
    assert!(entry.state.head_must_end());
    entry.forget_head();
    assert_eq!(total(&connections), 0);
}
