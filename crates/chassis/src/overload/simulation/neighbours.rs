//! Routes that share a pool: trouble of one is not an overload of the other.
//!
//! Each case also runs with one limit for both routes, or without the loan, to show that the test can fail.
//!
//! Next: [`super::super::pool`].

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use http::StatusCode;
use prometheus::Registry;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::super::{AdmissionPermit, Class, Limiter, Loan, Overload, Return, Runtime, Settings};

/// What a caller waits for.
const DEADLINE: Duration = Duration::from_millis(250);

/// What the requests of a route do.
#[derive(Clone, Copy, Debug)]
enum Does {
    /// Waits for something that takes so many milliseconds.
    Takes(u64),
    /// Waits for something that never answers.
    Hangs,
    /// Waits for its client for so many seconds, and then for a millisecond.
    Uploads { seconds: u64, lends: bool },
}

async fn admit(limiter: &Arc<Limiter>, deadline: Instant) -> Option<AdmissionPermit> {
    let until = Some(deadline.into_std());
    match limiter.try_admit(Instant::now().into_std(), until) {
        Some(place) => Some(place),
        None => Arc::clone(limiter).admit(Class::Normal, until).await.ok(),
    }
}

/// Whether it was let in.
async fn request(limiter: Arc<Limiter>, does: Does) -> bool {
    let upload = matches!(does, Does::Uploads { .. });
    let deadline = Instant::now() + if upload { Duration::from_mins(1) } else { DEADLINE };
    let Some(place) = admit(&limiter, deadline).await else { return false };
    let loan = Loan::default();
    let place = place.lendable(&loan);
    let status = match does {
        Does::Takes(milliseconds) => {
            sleep(Duration::from_millis(milliseconds)).await;
            StatusCode::OK
        }
        Does::Hangs => {
            sleep_until(deadline).await;
            StatusCode::GATEWAY_TIMEOUT
        }
        Does::Uploads { seconds, lends } => {
            if lends {
                loan.lend();
            }
            sleep(Duration::from_secs(seconds)).await;
            if let Return::Later(place) = loan.return_now() {
                loan.put_back(place.await);
            }
            sleep(Duration::from_millis(1)).await;
            StatusCode::OK
        }
    };
    place.end(Instant::now().into_std(), status);
    true
}

/// Open-loop arrivals of both routes in phases of their rates a second and seconds; how many were refused of each.
async fn beside(routes: [(Arc<Limiter>, Does); 2], phases: &[([f64; 2], u64)]) -> [usize; 2] {
    let mut random = Rng::with_seed(7);
    let mut clients = JoinSet::new();
    let mut end = Instant::now();
    for (rates, seconds) in phases {
        let begun = end;
        end += Duration::from_secs(*seconds);
        let mut arrivals = Vec::new();
        for (route, rate) in rates.iter().enumerate().filter(|(_, rate)| **rate > 0.0) {
            let mut at = begun;
            while at < end {
                arrivals.push((at, route));
                at += Duration::from_secs_f64(-random.f64().max(1e-12).ln() / rate);
            }
        }
        arrivals.sort_unstable();
        for (at, route) in arrivals {
            sleep_until(at).await;
            let (limiter, does) = routes[route].clone();
            clients.spawn(async move { (route, request(limiter, does).await) });
        }
    }
    let mut refused = [0; 2];
    clients.join_all().await.into_iter().filter(|(_, admitted)| !admitted).for_each(|(route, _)| refused[route] += 1);
    refused
}

fn limiters(is_shared: bool) -> [Arc<Limiter>; 2] {
    let overload = Overload::new(&Settings::default(), 2, &Registry::new());
    let one = overload.limiter(Runtime::Io, None);
    let other = if is_shared { Arc::clone(&one) } else { overload.limiter(Runtime::Io, None) };
    [one, other]
}

async fn refused(is_shared: bool, does: [Does; 2], phases: &[([f64; 2], u64)]) -> [usize; 2] {
    let [one, other] = limiters(is_shared);
    let refused = beside([(one, does[0]), (other, does[1])], phases).await;
    println!("{does:?}, one limit for both {is_shared}: refused {refused:?}");
    refused
}

#[tokio::test(start_paused = true)]
async fn a_silent_dependency_refuses_nobody_else() {
    let phases = [([200.0, 0.0], 5), ([200.0, 400.0], 20), ([200.0, 0.0], 5)];
    let does = [Does::Takes(5), Does::Hangs];
    assert_eq!(refused(false, does, &phases).await[0], 0);
    assert!(refused(true, does, &phases).await[0] > 0);
}

#[tokio::test(start_paused = true)]
async fn another_mix_refuses_nobody() {
    let phases = [([400.0, 10.0], 10), ([10.0, 400.0], 10), ([400.0, 10.0], 10)];
    let does = [Does::Takes(5), Does::Takes(200)];
    assert_eq!(refused(false, does, &phases).await, [0, 0]);
    assert!(refused(true, does, &phases).await.iter().sum::<usize>() > 0);
}

#[tokio::test(start_paused = true)]
async fn uploads_that_wait_for_their_clients_refuse_nobody() {
    let phases = [([200.0, 0.0], 5), ([200.0, 200.0], 20), ([200.0, 0.0], 40)];
    let uploads = |lends| [Does::Takes(5), Does::Uploads { seconds: 30, lends }];
    // On one route as well: a handler's uploads are its own requests.
    assert_eq!(refused(true, uploads(true), &phases).await, [0, 0]);
    assert!(refused(true, uploads(false), &phases).await[0] > 0);
}
