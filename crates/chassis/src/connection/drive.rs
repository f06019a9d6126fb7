//! Drives a connection's work until it is done, or until its state requires it to end.
//!
//! One timer serves all deadlines. It is only moved forward to an earlier deadline, never back for each request: when
//! it fires early, the state is checked again.
//!
//! Next: [`super::registry`].

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    closed::Closed,
    limits::Limits,
    state::{Phase, State},
    yielding::ON_ITS_WAY,
};

/// A connection that was just opened is about to send, and a head that has begun is about to be complete; in a
/// drain they get this long: several round trips.
pub(crate) const HEAD_GRACE: Duration = Duration::from_millis(500);
/// How long an idle HTTP/2 peer may take to acknowledge that a drain ends its connection.
const GOAWAY_GRACE: Duration = Duration::from_secs(1);
/// How long the last bytes may take once an HTTP/1 connection is finishing.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);
/// When to check again if the socket has input but the runtime has not reported it yet.
const INPUT_RECHECK: Duration = Duration::from_millis(50);

/// Something that uses the connection.
pub(crate) trait Work {
    type Output;

    /// Makes progress; the waker is also notified of commands.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output>;

    /// Requests the end after the work in flight. `false`: there is nothing to wait for.
    fn finish(&mut self) -> bool;
}

/// Runs `work` under the deadlines and commands of `state`.
///
/// It borrows the work: an async function stores by-value arguments twice, which costs memory per idle connection.
pub(crate) async fn drive<W: Work>(limits: &Limits, state: &State, work: &mut W) -> Result<W::Output, Closed> {
    let mut timer = pin!(sleep_until(Instant::now() + limits.settings().header_timeout.get()));
    let mut finishing = None;
    poll_fn(|cx| {
        state.register(cx.waker());
        loop {
            if let Poll::Ready(output) = state.driven(|| work.poll(cx)) {
                return Poll::Ready(Ok(output));
            }
            let deadline = match next(limits, state, finishing) {
                Step::Wait(deadline) => deadline,
                Step::End(reason) => {
                    state.unfinished.store(state.is_busy(), Relaxed);
                    return Poll::Ready(Err(reason));
                }
                Step::Finish(reason) => match probe(state, work, cx) {
                    Probed::Done(output) => return Poll::Ready(Ok(output)),
                    Probed::Input => Some(Instant::now() + INPUT_RECHECK),
                    Probed::Quiet => {
                        state.set_closing(reason);
                        if state.is_multiplexed() {
                            // Notify a response that never ends by itself.
                            state.end();
                        }
                        if !work.finish() {
                            return Poll::Ready(Err(reason));
                        }
                        finishing = Some((Instant::now(), reason));
                        continue;
                    }
                },
            };
            if sleep(timer.as_mut(), deadline, cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// Ready at the deadline. A timer set for an earlier instant is kept until it fires.
fn sleep(mut timer: Pin<&mut Sleep>, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
    let Some(deadline) = deadline else { return Poll::Pending };
    if timer.is_elapsed() || deadline < timer.deadline() {
        timer.as_mut().reset(deadline);
    }
    while timer.as_mut().poll(cx).is_ready() {
        if deadline <= Instant::now() {
            return Poll::Ready(());
        }
        timer.as_mut().reset(deadline);
    }
    Poll::Pending
}

enum Probed<T> {
    Done(T),
    Input,
    Quiet,
}

/// Whether a request has arrived meanwhile: polls the work once more, then queries the kernel.
fn probe<W: Work>(state: &State, work: &mut W, cx: &mut Context<'_>) -> Probed<W::Output> {
    if state.is_multiplexed() {
        // GOAWAY names the last stream that is served: nothing is lost.
        return Probed::Quiet;
    }
    state.input.store(false, Relaxed);
    state.probe.store(true, Relaxed);
    let polled = state.driven(|| work.poll(cx));
    state.probe.store(false, Relaxed);
    match polled {
        Poll::Ready(output) => Probed::Done(output),
        Poll::Pending if state.input.load(Relaxed) => Probed::Input,
        Poll::Pending if matches!(state.phase(), Phase::Idle | Phase::Silent) => Probed::Quiet,
        Poll::Pending => Probed::Input,
    }
}

enum Step {
    /// Nothing to do before this instant.
    Wait(Option<Instant>),
    /// End once nothing is in flight.
    Finish(Closed),
    /// End now.
    End(Closed),
}

impl Step {
    fn at(deadline: Instant, then: Self) -> Self {
        if deadline <= Instant::now() { then } else { Self::Wait(Some(deadline)) }
    }
}

fn next(limits: &Limits, state: &State, finishing: Option<(Instant, Closed)>) -> Step {
    if state.is_cut() {
        return Step::End(Closed::Cut);
    }
    if state.is_reset_for_memory() {
        return Step::End(Closed::Memory);
    }
    match write_deadline(limits, state).into_iter().chain(limits.total(state)).min() {
        Some(deadline) if deadline <= Instant::now() => Step::End(Closed::WriteTimeout),
        Some(deadline) => earliest(deadline, by_phase(limits, state, finishing)),
        // Responses of HTTP/2 are not written by this task: it looks at them when the first of them may be due.
        None if state.is_multiplexed() && state.is_busy() => {
            let again = state.streams.reset_stalled(limits.settings().write_timeout.get());
            earliest(again, by_phase(limits, state, finishing))
        }
        None => by_phase(limits, state, finishing),
    }
}

/// The deadline for a peer that reads nothing.
fn write_deadline(limits: &Limits, state: &State) -> Option<Instant> {
    let streams = if state.is_multiplexed() { state.streams.blocked_since(state.parts()) } else { None };
    let since = state.blocked_since().into_iter().chain(streams).min()?;
    Some(since + limits.settings().write_timeout.get())
}

fn earliest(deadline: Instant, step: Step) -> Step {
    match step {
        Step::Wait(other) => Step::Wait(Some(other.map_or(deadline, |other| other.min(deadline)))),
        step => step,
    }
}

fn by_phase(limits: &Limits, state: &State, finishing: Option<(Instant, Closed)>) -> Step {
    if let Some((since, reason)) = finishing {
        return finish_by(state, since, reason);
    }
    if state.is_multiplexed() {
        return multiplexed(limits, state);
    }
    let header_timeout = || limits.settings().header_timeout.get();
    match state.phase() {
        // The last response is not out yet.
        _ if state.blocked_since().is_some() => stalled(state),
        Phase::Silent if state.is_asked_to_close() => {
            Step::at(state.since() + HEAD_GRACE.min(header_timeout()), Step::Finish(Closed::Drain))
        }
        Phase::Head | Phase::Silent if state.head_must_end() => Step::End(Closed::Memory),
        Phase::Head if state.is_asked_to_close() => {
            Step::at(state.since() + HEAD_GRACE.min(header_timeout()), Step::End(Closed::HeaderTimeout))
        }
        Phase::Head if state.is_asked_to_yield() => yields_when_quiet(state, Step::End(Closed::Yielded)),
        Phase::Silent if state.takes_yield() => Step::Finish(Closed::Yielded),
        Phase::Silent => Step::at(state.since() + header_timeout(), Step::Finish(Closed::HeaderTimeout)),
        Phase::Head => Step::at(state.since() + header_timeout(), Step::End(Closed::HeaderTimeout)),
        Phase::Busy => stalled(state),
        Phase::Upgraded => Step::Wait(None),
        Phase::Idle if state.is_asked_to_close() => Step::Finish(Closed::Drain),
        Phase::Idle if state.is_asked_to_yield() => yields_when_quiet(state, Step::Finish(Closed::Yielded)),
        Phase::Idle => {
            Step::at(state.since() + limits.settings().idle_timeout.get(), Step::Finish(Closed::IdleTimeout))
        }
    }
}

/// It waits for its peer, or no longer: it was just asked to make room.
fn stalled(state: &State) -> Step {
    if state.takes_yield() && state.is_stalled_for(ON_ITS_WAY) {
        return Step::End(Closed::Yielded);
    }
    Step::Wait(None)
}

/// An idle connection's next request, or the rest of its head, may be in transit: it makes room once there was none for a
/// moment, or after the response to it.
fn yields_when_quiet(state: &State, then: Step) -> Step {
    let at = state.since() + ON_ITS_WAY;
    if at <= Instant::now() && state.takes_yield() {
        return then;
    }
    Step::Wait(Some(at))
}

/// The deadline of a connection that is finishing.
fn finish_by(state: &State, since: Instant, reason: Closed) -> Step {
    match (state.is_multiplexed(), state.phase()) {
        // GOAWAY was sent, and an incomplete frame blocks everything after it.
        (true, _) if reason == Closed::HeaderTimeout || state.head_must_end() => Step::End(reason),
        // Nothing is in flight, and the peer does not answer the PING behind GOAWAY.
        (true, Phase::Idle) => Step::at(since.max(state.since()) + GOAWAY_GRACE, Step::End(reason)),
        // Requests in flight have their own timeouts, and the drain cuts the rest.
        (true, _) => Step::Wait(None),
        (false, _) if reason == Closed::Drain => Step::Wait(None),
        (false, _) => Step::at(since + FINISH_TIMEOUT, Step::End(reason)),
    }
}

/// HTTP/2 announces its end with GOAWAY at any time.
fn multiplexed(limits: &Limits, state: &State) -> Step {
    if state.head_must_end() {
        return Step::Finish(Closed::Memory);
    }
    if state.is_asked_to_close() {
        return Step::Finish(Closed::Drain);
    }
    let idle = state.phase() == Phase::Idle;
    if idle && state.takes_yield() {
        return Step::Finish(Closed::Yielded);
    }
    if let Step::End(reason) = stalled(state) {
        return Step::End(reason);
    }
    if state.is_retired() {
        return Step::Finish(Closed::Requests);
    }
    if state.streams.is_stuck() {
        return Step::Finish(Closed::WriteTimeout);
    }
    let ends = [
        limits.drain_at(state).map(|at| (at, Closed::Drain)),
        limits.ages_at(state).map(|at| (at, Closed::Age)),
        idle.then(|| (state.since() + limits.settings().idle_timeout.get(), Closed::IdleTimeout)),
        state.half_since().map(|since| (since + limits.settings().header_timeout.get(), Closed::HeaderTimeout)),
    ];
    match ends.into_iter().flatten().min_by_key(|(at, _)| *at) {
        Some((at, reason)) => Step::at(at, Step::Finish(reason)),
        None => Step::Wait(None),
    }
}

#[cfg(test)]
mod tests;
