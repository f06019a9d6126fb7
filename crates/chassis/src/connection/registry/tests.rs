use super::*;

fn connections(max: usize) -> Arc<Connections> {
    Connections::new(max, Rules::default(), Metrics::new(None))
}

#[tokio::test]
async fn the_longest_idle_connection_is_asked_for_its_place() {
    let connections = connections(2);
    let busy = connections.enter(connections.try_place());
    let idle = connections.enter(connections.try_place());
    busy.state.begin_request();
    idle.state.begin_request();
    idle.state.end_part();
    assert!(connections.try_place().is_none());
    connections.ask_for_a_place();
    assert!(idle.state.takes_yield());
    assert!(!busy.state.takes_yield());
}

#[tokio::test]
async fn nobody_waits_for_one_that_has_no_place_any_more() {
    let connections = connections(1);
    let entry = connections.enter(connections.try_place());
    entry.state.begin_request();
    entry.state.end_part();
    let asked = connections.ask_for_a_place().expect("an idle connection");
    assert!(asked.is_about_to_yield());
    entry.give_up_place();
    assert!(!asked.is_about_to_yield(), "its place is free, and it will not answer");
    assert!(asked.takes_yield());
    assert!(connections.ask_for_a_place().is_none(), "it was asked again");
}

#[tokio::test]
async fn closed_resolves_when_the_last_one_leaves() {
    let connections = connections(1);
    let entry = connections.enter(connections.try_place());
    let mut closed = std::pin::pin!(connections.closed());
    assert!(futures_util::poll!(closed.as_mut()).is_pending());
    drop(entry);
    closed.await;
    assert!(connections.try_place().is_some());
}

#[tokio::test]
async fn connections_beyond_a_limit_that_falls_make_room() {
    let connections = connections(3);
    let [busy, idle, other] = [0; 3].map(|_| {
        let entry = connections.enter(connections.try_place());
        entry.state.begin_request();
        entry
    });
    idle.state.end_part();
    connections.resize(1);
    assert_eq!(connections.max(), 1);
    eventually(|| idle.state.takes_yield()).await;
    drop(idle);
    assert!(!busy.state.takes_yield(), "a busy one is never asked");
    drop(other);
    drop(busy);
    let place = connections.place().await;
    eventually(|| connections.places.is_settled()).await;
    assert!(connections.try_place().is_none(), "one place is left, and it is taken");
    drop(place);
    connections.resize(2);
    let places = [connections.try_place(), connections.try_place()];
    assert!(places.iter().all(Option::is_some) && connections.try_place().is_none());
}

/// Lets other tasks run until it holds.
async fn eventually(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}
