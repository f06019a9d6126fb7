//! The time, read once for all that one turn of a connection does at once.
//!
//! A look at the clock takes some 70 instructions, and a request needs the time in seven places. What was seen holds until
//! code of the app runs, which may take long, and never beyond the turn; outside of a turn nothing is kept.
//!
//! Next: [`crate::connection`], whose driver takes the turns.

use std::cell::Cell;

use tokio::time::Instant;

#[derive(Clone, Copy)]
enum Seen {
    /// No connection has its turn on this thread.
    Outside,
    /// Nothing that still holds.
    Nothing,
    At(Instant),
}

thread_local! {
    static SEEN: Cell<Seen> = const { Cell::new(Seen::Outside) };
}

/// Runs one turn of a connection.
pub(crate) fn run<T>(turn: impl FnOnce() -> T) -> T {
    let _restore = Restore(SEEN.replace(Seen::Nothing));
    turn()
}

/// Restores what held outside of the turn, even if it panics.
struct Restore(Seen);

impl Drop for Restore {
    fn drop(&mut self) {
        SEEN.set(self.0);
    }
}

/// Looks at the clock, for what follows in this turn too.
pub(crate) fn look() -> Instant {
    let now = Instant::now();
    if !matches!(SEEN.get(), Seen::Outside) {
        SEEN.set(Seen::At(now));
    }
    now
}

/// The time as it was last seen, if that still holds. Else it is read for the caller alone, who may be the app's code.
pub(crate) fn now() -> Instant {
    match SEEN.get() {
        Seen::At(now) => now,
        Seen::Outside | Seen::Nothing => Instant::now(),
    }
}

/// Code of the app runs next: what was seen holds no longer.
pub(crate) fn forget() {
    if matches!(SEEN.get(), Seen::At(_)) {
        SEEN.set(Seen::Nothing);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_seen_holds_in_its_turn_until_the_app_runs() {
        let start = Instant::now();
        run(look);
        advance(Duration::from_secs(1)).await;
        assert_eq!(now() - start, Duration::from_secs(1), "a turn that is over");
        look();
        advance(Duration::from_secs(1)).await;
        assert_eq!(now() - start, Duration::from_secs(2), "no turn at all");
    }

    /// By the clock of the machine, which goes on within a turn.
    #[test]
    fn within_a_turn_one_look_is_enough() {
        run(|| {
            let seen = look();
            assert_eq!((now(), now()), (seen, seen));
            run(|| assert!(now() >= seen, "a turn within a turn sees nothing of it"));
            assert_eq!(now(), seen);
            forget();
            assert!(std::iter::repeat_with(now).take(1_000_000).any(|later| later > seen), "the clock goes on");
        });
    }
}
