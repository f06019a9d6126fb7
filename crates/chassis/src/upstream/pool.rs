//! Connections to one upstream, renewed now and then.
//!
//! A keep-alive connection stays with the replica that it reached first, so replicas that came later would stay idle.
//! Every [`max_connection_age`](super::Settings) the pool is replaced whole: the old one's idle connections close at
//! once, and its busy ones with their response.
//!
//! Next: [`super::breaker`].

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::Instant;

use super::Settings;

pub(super) type Client = legacy::Client<HttpConnector, Full<Bytes>>;

pub(super) struct Pool {
    current: Mutex<Aged>,
    connect_timeout: Duration,
    max_age: Duration,
}

struct Aged {
    client: Client,
    renew_at: Instant,
}

impl Pool {
    pub(super) fn new(settings: &Settings) -> Self {
        let (connect_timeout, max_age) = (settings.connect_timeout.get(), settings.max_connection_age.get());
        Self { current: Mutex::new(Aged::new(connect_timeout, max_age)), connect_timeout, max_age }
    }

    pub(super) fn client(&self) -> Client {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if Instant::now() >= current.renew_at {
            *current = Aged::new(self.connect_timeout, self.max_age);
        }
        current.client.clone()
    }
}

impl Aged {
    fn new(connect_timeout: Duration, max_age: Duration) -> Self {
        let renew_at = Instant::now() + max_age.mul_f64(0.9 + 0.2 * fastrand::f64());
        Self { client: connect(connect_timeout), renew_at }
    }
}

fn connect(timeout: Duration) -> Client {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(timeout));
    connector.set_nodelay(true);
    legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        // 30 s: below the 60 s at which common servers close idle connections, so that we close first.
        .pool_idle_timeout(Duration::from_secs(30))
        // A request that was never sent moves to another connection; no server saw it, so it is not a retry.
        .retry_canceled_requests(true)
        .build(connector)
}
