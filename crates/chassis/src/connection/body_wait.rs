//! A handler's wait for its request body, for the connection limit: the same for every protocol.
//!
//! Next: [`super::yielding`].

use std::time::Duration;

use tokio::time::Instant;

use super::state::State;

/// 4 ms for each byte that comes: at 240 B/s, the default of `server.min_rate`, a body makes progress.
const EARNED: Duration = Duration::from_millis(4);

/// The wait for one body. It is recorded in the state; the owner ends it.
#[derive(Debug, Default)]
pub(crate) struct Wait {
    /// Since when it has been too slow.
    short_since: Option<Instant>,
    is_told: bool,
}

impl Wait {
    /// The handler reads, and no data is available.
    pub(crate) fn begin(&mut self, state: &State) {
        if !self.is_told {
            state.body_stalls(*self.short_since.get_or_insert_with(Instant::now));
            self.is_told = true;
        }
    }

    /// `bytes` arrived. A few bytes do not reset a long wait.
    pub(crate) fn end(&mut self, state: &State, bytes: usize) {
        if self.is_told {
            state.body_moves();
            self.is_told = false;
        }
        if let Some(since) = self.short_since {
            let since = since + EARNED * u32::try_from(bytes).unwrap_or(u32::MAX);
            self.short_since = (since < Instant::now()).then_some(since);
        }
    }
}
