//! Whether the database answers, and the one place that tries while it does not.
//!
//! sqlx's pool opens a connection for each request that finds none, and tries again every few milliseconds where it is
//! refused: a hundred waiting requests are a hundred clients at the door of a database that has just come back. Here the
//! first failure is doubt, and one attempt decides. While the database is away, requests are refused at once, the pool
//! connects to nowhere, and a single task tries again with growing pauses.
//!
//! Next: [`super::session`].

use std::{sync::Arc, time::Duration};

use sqlx::{Connection, PgConnection, PgPool, postgres::PgConnectOptions};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

/// 50 ms: a failover of a connection, not of the server, is over at once.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// 1 s: the replica serves again within 2 s of the database's return.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// 2 s for one attempt: TCP sends a lost SYN again after 1 s.
const ATTEMPT: Duration = Duration::from_secs(2);

/// What is known of the database.
#[derive(Debug)]
enum State {
    Present,
    /// Something failed; an attempt is under way.
    Doubted,
    /// The last attempt failed, for this reason.
    Away(Arc<str>),
}

/// The state of one database; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<watch::Sender<State>>);

impl Gate {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State::Present)))
    }

    /// Something failed that may mean that the database is away: the next attempt decides.
    pub(super) fn doubt(&self) {
        self.0.send_if_modified(|state| {
            let is_present = matches!(state, State::Present);
            if is_present {
                *state = State::Doubted;
            }
            is_present
        });
    }

    /// Waits for the end of doubt; why the database is away, where it is.
    pub(super) async fn verdict(&self) -> Result<(), Arc<str>> {
        let mut states = self.0.subscribe();
        match states.wait_for(|state| !matches!(state, State::Doubted)).await.as_deref() {
            Ok(State::Away(reason)) => Err(Arc::clone(reason)),
            _ => Ok(()),
        }
    }

    /// Why the database is away, where that is known.
    pub(super) fn away(&self) -> Option<Arc<str>> {
        match &*self.0.borrow() {
            State::Away(reason) => Some(Arc::clone(reason)),
            State::Present | State::Doubted => None,
        }
    }

    /// Decides each doubt by attempts with `options`, until the pool is closed.
    pub(super) async fn keep(self, pool: PgPool, options: PgConnectOptions) {
        let attempts = async {
            let mut states = self.0.subscribe();
            while states.wait_for(|state| matches!(state, State::Doubted)).await.is_ok() {
                self.decide(&pool, &options).await;
            }
        };
        // Closed is the only error.
        let _ = pool.close_event().do_until(attempts).await;
        // Nobody decides any more.
        self.0.send_replace(State::Away("the pool is closed".into()));
    }

    async fn decide(&self, pool: &PgPool, options: &PgConnectOptions) {
        let mut pause = FIRST_PAUSE;
        while let Err(reason) = attempt(options).await {
            if self.away().is_none() {
                tracing::warn!(reason, "the database is away; requests for it are refused until it answers");
                pool.set_connect_options(nowhere(options));
            }
            self.0.send_replace(State::Away(reason.into()));
            // Half of it at least, so that replicas do not ask together.
            sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        if self.away().is_some() {
            pool.set_connect_options(options.clone());
            tracing::info!("the database answers again");
        }
        self.0.send_replace(State::Present);
    }
}

/// One connection, closed again.
async fn attempt(options: &PgConnectOptions) -> Result<(), String> {
    let connection = connect(options).await.map_err(|error| error.to_string())?;
    // It has answered; how it takes the farewell says nothing.
    let _ = timeout(ATTEMPT, connection.close()).await;
    Ok(())
}

/// One connection outside the pool; the error says why there is none, where the pool only says that time is up.
pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    match timeout(ATTEMPT, PgConnection::connect_with(options)).await {
        Ok(connected) => connected,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

/// A place where nothing can be: the pool fails at once there, and reaches nobody.
fn nowhere(options: &PgConnectOptions) -> PgConnectOptions {
    options.clone().socket("/dev/null")
}

/// What a pool says that was sent nowhere.
pub(super) fn is_nowhere(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::NotADirectory)
}
