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
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::Instant;

use super::{Settings, UpstreamError, connect::Connector};

pub(super) type Client = legacy::Client<Connector, Full<Bytes>>;

pub(super) struct Pool {
    current: Mutex<Aged>,
    connector: Connector,
    max_age: Duration,
}

struct Aged {
    client: Client,
    renew_at: Instant,
}

impl Pool {
    pub(super) fn new(settings: &Settings) -> Result<Self, UpstreamError> {
        let (connector, max_age) = (Connector::new(settings)?, settings.max_connection_age.get());
        Ok(Self { current: Mutex::new(Aged::new(&connector, max_age)), connector, max_age })
    }

    pub(super) fn client(&self) -> Client {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if Instant::now() >= current.renew_at {
            *current = Aged::new(&self.connector, self.max_age);
        }
        current.client.clone()
    }
}

impl Aged {
    fn new(connector: &Connector, max_age: Duration) -> Self {
        let renew_at = Instant::now() + max_age.mul_f64(0.9 + 0.2 * fastrand::f64());
        Self { client: client(connector.clone()), renew_at }
    }
}

fn client(connector: Connector) -> Client {
    legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        // 30 s: below the 60 s at which common servers close idle connections, so that we close first.
        .pool_idle_timeout(Duration::from_secs(30))
        // A request that was never sent moves to another connection; no server saw it, so it is not a retry.
        .retry_canceled_requests(true)
        // 10 s without a frame while a call is open: all calls share an HTTP/2 connection, and a dead one would fail each
        // of them until the pool is renewed.
        .http2_keep_alive_interval(Duration::from_secs(10))
        // 5 s: the default time of a call.
        .http2_keep_alive_timeout(Duration::from_secs(5))
        .build(connector)
}
