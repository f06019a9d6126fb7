//! Who is asked first.

use super::*;

fn rules() -> Rules {
    Rules { shared: vec!["10.0.0.0/8".parse().expect("a network")], eager: false, heads: 0 }
}

fn connection(peer: &str) -> Arc<State> {
    let state = State::new();
    state.set_group(rules().group(peer.parse().expect("an address")));
    Arc::new(state)
}

fn idle(peer: &str) -> Arc<State> {
    let state = connection(peer);
    state.begin_request();
    state.end_part();
    state
}

fn half_head(peer: &str) -> Arc<State> {
    let state = connection(peer);
    state.received(1);
    state
}

/// A request whose body is waited for.
fn half_body(peer: &str) -> Arc<State> {
    let state = connection(peer);
    state.begin_request();
    state.begin_part();
    state.body_stalls(Instant::now());
    state
}

/// In which order `open` are asked.
fn order(open: &[Arc<State>]) -> Vec<usize> {
    let mut ranked = Ranked::default();
    ranked.look(open.iter(), false);
    let place = |state: Arc<State>| open.iter().position(|one| Arc::ptr_eq(one, &state)).expect("one of them");
    std::iter::from_fn(|| ranked.take(false)).map(place).collect()
}

async fn pass(time: Duration) {
    tokio::time::advance(time).await;
}

#[test]
fn an_address_is_a_slash_64_of_ipv6_and_a_forwarder_is_nobody() {
    let group = |peer: &str| rules().group(peer.parse().expect("an address"));
    assert_eq!(group("2001:db8::1"), group("2001:db8::ffff:1"));
    assert_ne!(group("2001:db8::1"), group("2001:db8:0:1::1"));
    assert_eq!(group("::ffff:192.0.2.1"), group("192.0.2.1"));
    assert_ne!(group("192.0.2.1"), group("192.0.2.2"));
    assert_eq!(group("10.1.2.3"), SHARED);
}

#[tokio::test(start_paused = true)]
async fn half_heads_and_stalled_bodies_go_before_idle_connections() {
    let open = [idle("192.0.2.1"), half_head("192.0.2.2"), half_body("192.0.2.3"), connection("192.0.2.4")];
    pass(STALLED).await;
    let order = order(&open);
    assert_eq!((order.len(), order[3]), (4, 0), "{order:?}");
}

#[tokio::test(start_paused = true)]
async fn the_oldest_of_the_address_with_the_most_goes_first() {
    let mut open = vec![half_head("192.0.2.1")];
    for _ in 0..3 {
        pass(Duration::from_millis(10)).await;
        open.push(half_head("192.0.2.2"));
    }
    pass(HEAD_GRACE).await;
    assert_eq!(order(&open), [1, 2, 0, 3]);
}

/// They stand among the others as soon as a head on its way would have come.
#[tokio::test(start_paused = true)]
async fn a_burst_pushes_out_no_idle_connection_of_another_address() {
    let mut open = vec![idle("192.0.2.1"), idle("192.0.2.1")];
    pass(Duration::from_secs(1)).await;
    open.extend((0..3).map(|_| half_head("192.0.2.2")));
    assert!(order(&open).is_empty(), "nobody, for a moment");
    pass(ON_ITS_WAY).await;
    assert!(order(&open)[0] >= 2, "one of the burst");
}

#[tokio::test(start_paused = true)]
async fn many_connections_of_a_forwarder_are_many_peers() {
    let mut open = vec![];
    for peer in ["10.0.0.1", "10.0.0.1", "10.0.0.1", "192.0.2.1", "192.0.2.1"] {
        pass(Duration::from_millis(10)).await;
        open.push(idle(peer));
    }
    assert_eq!(order(&open), [3, 0, 1, 2, 4]);
}

#[tokio::test(start_paused = true)]
async fn what_makes_progress_keeps_its_place() {
    let (body, head, answered) = (half_body("192.0.2.1"), half_head("192.0.2.1"), half_body("192.0.2.1"));
    answered.answers();
    let open = [body, head, answered];
    assert_eq!(order(&open), [] as [usize; 0]);
    pass(STALLED / 4).await;
    assert_eq!(order(&open), [1], "a head that has begun, but no body that paused");
    open[0].body_moves();
    open[0].body_stalls(Instant::now());
    pass(STALLED * 9 / 10).await;
    assert_eq!(order(&open), [1]);
}

/// New heads of one address must not push out the few idle connections of another.
#[tokio::test(start_paused = true)]
async fn an_address_with_many_new_heads_gives_one_of_them() {
    let mut open = vec![idle("192.0.2.1")];
    for _ in 0..2 {
        pass(Duration::from_millis(1)).await;
        open.push(half_head("192.0.2.2"));
    }
    pass(ON_ITS_WAY).await;
    assert_eq!(order(&open)[0], 1);
}

#[tokio::test(start_paused = true)]
async fn upgraded_connections_go_last_and_only_when_nothing_moved_lately() {
    let (quiet, lively, idle) = (connection("192.0.2.1"), connection("192.0.2.1"), idle("192.0.2.2"));
    for state in [&quiet, &lively] {
        state.enter(Phase::Upgraded);
        state.set_moved();
    }
    pass(LATELY).await;
    lively.set_moved();
    assert_eq!(order(&[quiet, lively, idle]), [2, 0]);
}

#[tokio::test(start_paused = true)]
async fn one_that_became_busy_after_the_look_is_not_asked() {
    let open = [idle("192.0.2.1"), idle("192.0.2.1")];
    let mut ranked = Ranked::default();
    ranked.look(open.iter(), false);
    open[0].begin_request();
    assert!(Arc::ptr_eq(&ranked.take(false).expect("the other"), &open[1]));
}

/// A scan may take a tenth of a processor, and what else a busy machine ran meanwhile is no scan.
#[test]
fn a_scan_that_waited_for_a_processor_delays_the_next_one_little() {
    let open = [idle("192.0.2.1")];
    let begun = Instant::now();
    let interrupted = open.iter().inspect(|_| while begun.elapsed() < Duration::from_millis(20) {});
    let mut ranked = Ranked::default();
    ranked.look(interrupted, false);
    assert!(ranked.may_look(), "the next scan waits for ten times the time of others");
}
