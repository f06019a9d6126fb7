//! Drives a connection's work until it is done, or until its state requires it to end.
//!
//! One timer serves all deadlines, see [`super::alarm`].
//!
//! Next: [`super::registry`].

use std::{
    future::poll_fn,
    pin::pin,
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::{
    alarm::Alarm,
    closed::Closed,
    limits::Limits,
    settings::Settings,
    state::{Phase, State},
    yielding::ON_ITS_WAY,
};

/// A connection that was just opened is about to send, and a head that has begun is about to be complete; in a
/// drain they get this long: several round trips.
pub(crate) const HEAD_GRACE: Duration = Duration::from_millis(500);
/// How long an idle HTTP/2 peer may take to acknowledge GOAWAY where nobody waits for its place: a request that it sent
/// before it read that is on its way, and a peer without CPU takes more than the second that Go's server gives.
const GOAWAY_GRACE: Duration = Duration::from_secs(5);
/// The same where it holds up others, or has never asked for anything.
const SHORT_GOAWAY_GRACE: Duration = Duration::from_secs(1);
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
    let mut settings = limits.agreed();
    let timer = pin!(sleep_until(Instant::now() + settings.load(state).header_timeout.get()));
    let (mut alarm, mut finishing) = (Alarm::new(timer), None);
    poll_fn(|cx| {
        state.register(cx.waker());
        let settings = settings.load(state);
        loop {
            if let Poll::Ready(output) = state.driven(|| work.poll(cx)) {
                return Poll::Ready(Ok(output));
            }
            let step = next(limits, settings, state, finishing);
            if step.waits_until().is_some_and(|at| alarm.is_set(at, cx.waker())) {
                return Poll::Pending;
            }
            let deadline = match step {
                Step::Wait(deadline) => deadline,
                Step::FinishAt(at, _) | Step::EndAt(at, _) if at > Instant::now() => Some(at),
                Step::End(reason) | Step::EndAt(_, reason) => {
                    state.unfinished.store(state.is_busy(), Relaxed);
                    return Poll::Ready(Err(reason));
                }
                Step::Finish(reason) | Step::FinishAt(_, reason) => match probe(state, work, cx) {
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
            if alarm.poll(deadline, cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
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

#[derive(Clone, Copy)]
enum Step {
    /// Nothing to do before this instant.
    Wait(Option<Instant>),
    /// End once nothing is in flight.
    Finish(Closed),
    FinishAt(Instant, Closed),
    /// End now.
    End(Closed),
    EndAt(Instant, Closed),
}

impl Step {
    /// The deadline; none where there is nothing to wait for.
    fn waits_until(self) -> Option<Instant> {
        match self {
            Self::Wait(at) => at,
            Self::FinishAt(at, _) | Self::EndAt(at, _) => Some(at),
            Self::Finish(_) | Self::End(_) => None,
        }
    }
}

fn next(limits: &Limits, settings: &Settings, state: &State, finishing: Option<(Instant, Closed)>) -> Step {
    if state.is_cut() {
        return Step::End(Closed::Cut);
    }
    if state.is_reset_for_memory() {
        return Step::End(Closed::Memory);
    }
    match write_deadline(settings, state).into_iter().chain(limits.total(settings, state)).min() {
        Some(deadline) if deadline <= Instant::now() => Step::End(Closed::WriteTimeout),
        Some(deadline) => earliest(deadline, by_phase(limits, settings, state, finishing)),
        // Responses of HTTP/2 are not written by this task: it looks at them when the first of them may be due.
        None if state.is_multiplexed() && state.is_busy() => {
            let again = state.streams.reset_stalled(settings.write_timeout.get());
            earliest(again, by_phase(limits, settings, state, finishing))
        }
        None => by_phase(limits, settings, state, finishing),
    }
}

/// The deadline for a peer that reads nothing.
fn write_deadline(settings: &Settings, state: &State) -> Option<Instant> {
    let streams = if state.is_multiplexed() { state.streams.blocked_since(state.parts()) } else { None };
    let since = state.blocked_since().into_iter().chain(streams).min()?;
    Some(since + settings.write_timeout.get())
}

fn earliest(deadline: Instant, step: Step) -> Step {
    match step {
        Step::Wait(other) => Step::Wait(Some(other.map_or(deadline, |other| other.min(deadline)))),
        Step::FinishAt(at, _) | Step::EndAt(at, _) if deadline < at => Step::Wait(Some(deadline)),
        step => step,
    }
}

fn by_phase(limits: &Limits, settings: &Settings, state: &State, finishing: Option<(Instant, Closed)>) -> Step {
    if let Some((since, reason)) = finishing {
        return finish_by(state, since, reason);
    }
    if state.is_multiplexed() {
        return multiplexed(limits, settings, state);
    }
    let header_timeout = settings.header_timeout.get();
    match state.phase() {
        // The last response is not out yet.
        _ if state.blocked_since().is_some() => stalled(state),
        Phase::Silent if state.is_asked_to_close() => {
            Step::FinishAt(state.since() + HEAD_GRACE.min(header_timeout), Closed::Drain)
        }
        Phase::Head | Phase::Silent if state.head_must_end() => Step::End(Closed::Memory),
        Phase::Head if state.is_asked_to_close() => {
            Step::EndAt(state.since() + HEAD_GRACE.min(header_timeout), Closed::HeaderTimeout)
        }
        Phase::Head if state.is_asked_to_yield() => yields_when_quiet(state, Step::End(Closed::Yielded)),
        Phase::Silent if state.takes_yield() => Step::Finish(Closed::Yielded),
        Phase::Silent => Step::FinishAt(state.since() + header_timeout, Closed::HeaderTimeout),
        Phase::Head => Step::EndAt(state.since() + header_timeout, Closed::HeaderTimeout),
        Phase::Busy => stalled(state),
        Phase::Upgraded => Step::Wait(None),
        Phase::Idle if state.is_asked_to_close() => Step::Finish(Closed::Drain),
        Phase::Idle if state.is_asked_to_yield() => yields_when_quiet(state, Step::Finish(Closed::Yielded)),
        Phase::Idle => Step::FinishAt(state.since() + settings.idle_timeout.get(), Closed::IdleTimeout),
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
        (true, Phase::Idle) => {
            let is_planned = matches!(reason, Closed::Age | Closed::Drain | Closed::IdleTimeout | Closed::Requests);
            let grace = if is_planned && state.has_asked() { GOAWAY_GRACE } else { SHORT_GOAWAY_GRACE };
            Step::EndAt(since.max(state.since()) + grace, reason)
        }
        // Requests in flight have their own timeouts, and the drain cuts the rest.
        (true, _) => Step::Wait(None),
        (false, _) if reason == Closed::Drain => Step::Wait(None),
        (false, _) => Step::EndAt(since + FINISH_TIMEOUT, reason),
    }
}

/// HTTP/2 announces its end with GOAWAY at any time.
fn multiplexed(limits: &Limits, settings: &Settings, state: &State) -> Step {
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
        state.ages_at().map(|at| (at, Closed::Age)),
        idle.then(|| (state.since() + settings.idle_timeout.get(), Closed::IdleTimeout)),
        state.half_since().map(|since| (since + settings.header_timeout.get(), Closed::HeaderTimeout)),
    ];
    match ends.into_iter().flatten().min_by_key(|(at, _)| *at) {
        Some((at, reason)) => Step::FinishAt(at, reason),
        None => Step::Wait(None),
    }
}

#[cfg(test)]
mod tests;
