//! Which heads end.

use super::{
    super::{Metrics, Rules},
    *,
};

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
    let place = |one: &Arc<State>| {
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
    assert!(Arc::ptr_eq(&chosen[0], &old));
}

#[tokio::test]
async fn only_what_is_above_the_first_8_kib_of_an_incomplete_head_counts() {
    let entry = Connections::new(1, Rules::default(), Metrics::new(None)).enter(None);
    let total = || entry.connections.heads.total.load(Relaxed);
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
    let connections = Arc::clone(&entry.connections);
    drop(entry);
    assert_eq!(connections.heads.total.load(Relaxed), 0);
}
