//! Which readers the limit spares.

use super::*;

/// It has taken a piece after its first second, and lately.
#[tokio::test(start_paused = true)]
async fn a_reader_that_reads_on_is_told_from_one_that_has_just_begun() {
    let holder = Held::new(1, 1).begin(&Arc::new(State::new()), None);
    let reads_on = || holder.reads_on(Instant::now());
    holder.moves();
    assert!(!reads_on(), "it took what a socket takes at once");
    tokio::time::advance(NEW).await;
    assert!(!reads_on());
    holder.moves();
    assert!(reads_on());
    tokio::time::advance(READS_ON).await;
    assert!(!reads_on(), "it has stopped");
}
