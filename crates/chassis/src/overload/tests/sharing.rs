//! Places that are shared: by the routes of a pool, and with others while a client is waited for.

use super::*;

#[tokio::test]
async fn a_pool_is_the_sum_of_its_routes_and_leaves_places_to_other_pools() {
    let (overload, registry) = overload(2, 0);
    let routes = [(); 2].map(|()| overload.limiter(Runtime::Io, Some("database")));
    let _places = routes.each_ref().map(|route| free(route).expect("free"));
    assert!(free(&routes[0]).is_none(), "the pool is full");
    assert!(free(&io(&overload)).is_some());
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).expect("encodes");
    assert!(text.contains("overload_in_flight{pool=\"database\"} 2"), "{text}");
    overload.reload(&Settings { max_in_flight: 3, ..Settings::default() });
    assert!(free(&routes[1]).is_some());
}

#[tokio::test]
async fn where_three_routes_are_stuck_another_finds_a_place() {
    let (overload, _) = overload(100, 0);
    let routes: Vec<_> = (0..4).map(|_| io(&overload)).collect();
    let mut places = Vec::new();
    for (stuck, route) in routes[..3].iter().enumerate() {
        let held = std::iter::from_fn(|| free(route)).collect::<Vec<_>>();
        assert!(!held.is_empty(), "no place beside {stuck} routes that are stuck");
        places.extend(held);
    }
    assert!(free(&routes[3]).is_some(), "{} of 100 places are taken", places.len());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_pool_gets_the_place_of_another_route() {
    let (overload, _) = overload(1, 1);
    let (one, other) = (io(&overload), io(&overload));
    let place = free(&one).expect("free");
    let mut queued = Box::pin(Arc::clone(&other).admit(Class::Normal, None));
    assert!(futures_util::poll!(queued.as_mut()).is_pending());
    drop(place);
    queued.await.expect("the place was given back");
}

#[tokio::test(start_paused = true)]
async fn what_a_route_learns_is_its_own() {
    let (overload, _) = overload(100, 0);
    let (quick, slow) = (io(&overload), io(&overload));
    for (route, milliseconds) in [(&quick, 1), (&slow, 100)] {
        for _ in 0..200 {
            let place = free(route).expect("free");
            tokio::time::advance(Duration::from_millis(milliseconds)).await;
            place.end(Instant::now().into_std(), StatusCode::OK);
        }
    }
    assert!(quick.try_admit(Instant::now().into_std(), Some(soon(50))).is_some());
    assert!(slow.try_admit(Instant::now().into_std(), Some(soon(50))).is_none(), "its quickest took 100 ms");
}

#[tokio::test(start_paused = true)]
async fn a_place_is_lent_while_a_client_is_waited_for_and_the_wait_is_no_latency() {
    let (overload, _) = overload(1, 8);
    let io = io(&overload);
    for _ in 0..20 {
        let loan = Loan::default();
        let place = free(&io).expect("free").lendable(&loan);
        loan.lend();
        assert_eq!(io.in_flight(), 0);
        let other = free(&io).expect("lent");
        tokio::time::advance(Duration::from_secs(5)).await;
        let Return::Later(coming) = loan.return_now() else { panic!("another has the place") };
        drop(other);
        loan.put_back(coming.await);
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(io.in_flight(), 1);
        place.end(Instant::now().into_std(), StatusCode::OK);
    }
    assert_eq!((io.in_flight(), io.control.quickest()), (0, Duration::from_millis(100)));
}

#[tokio::test(start_paused = true)]
async fn work_that_ends_while_its_client_is_waited_for_gives_nothing_back_twice() {
    let (overload, _) = overload(2, 8);
    let io = io(&overload);
    let (lent, waited, cut) = (Loan::default(), Loan::default(), Loan::default());
    let places = [&lent, &cut].map(|loan| free(&io).expect("free").lendable(loan));
    let third = {
        lent.lend();
        free(&io).expect("lent").lendable(&waited)
    };
    cut.lend();
    cut.force();
    assert_eq!(io.in_flight(), 2);
    for place in places {
        place.end(Instant::now().into_std(), StatusCode::OK);
    }
    waited.lend();
    drop(third);
    assert_eq!(io.in_flight(), 0);
    // The body comes after the end.
    assert!(matches!(lent.return_now(), Return::Here));
    assert_eq!(io.in_flight(), 0);
}
