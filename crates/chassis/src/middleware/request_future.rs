//! One request as one future: admission, handler, timeout, and always a response.
//!
//! Next: [`super::body`].

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use tokio::time::{Sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Stack,
    dispatch::Pending,
    observation::Observation,
    protect::{self, Admission},
    response,
    route::{Kind, Route},
    settings::Settings,
};
use crate::{
    faults::Fault,
    overload::AdmissionPermit,
    peer::{ConnectionInfo, turn},
    problem::{Code, Problem},
    request::{self, RequestContext},
};

/// A request on its way through the middleware. All that it keeps is in one allocation, apart from its context and its
/// handler.
pub(crate) struct RequestFuture {
    /// Present from the first poll until the response has been made. First: it is dropped before the handler.
    observation: Option<Observation>,
    context: Option<Arc<RequestContext>>,
    step: Step,
    /// Present until its handler is called, or goes to the work runtime.
    request: Option<Request>,
    /// Armed when the handler first waits.
    timer: Option<Pin<Box<Sleep>>>,
}

enum Step {
    /// Not polled yet.
    Arrived { stack: Arc<Stack>, route: Arc<Route>, connection: Option<ConnectionInfo>, has_failed: bool },
    /// Refused before its handler.
    Refused { problem: Option<Problem> },
    /// Waits for a place, or for a fault's latency.
    Waiting { wait: Pin<Box<dyn Future<Output = Waited> + Send>> },
    /// The handler runs here; it is called by the first poll.
    Running { handler: Option<Pending>, place: Option<AdmissionPermit> },
    /// The handler runs on the work runtime, which holds the place.
    Working { task: AbortOnDropHandle<Response> },
    /// Answered.
    Done,
}

/// A permit if one is needed, or a response instead.
type Waited = Result<Option<AdmissionPermit>, Response>;

impl RequestFuture {
    /// It starts with its first poll.
    pub(super) fn new(
        stack: Arc<Stack>,
        route: Arc<Route>,
        request: Request,
        connection: Option<ConnectionInfo>,
    ) -> Self {
        let step = Step::Arrived { stack, route, connection, has_failed: false };
        Self { observation: None, context: None, step, request: Some(request), timer: None }
    }

    /// A request that the app failed at before it could begin: 500.
    pub(super) fn failed(
        stack: Arc<Stack>,
        route: Arc<Route>,
        request: Request,
        connection: Option<ConnectionInfo>,
    ) -> Self {
        let step = Step::Arrived { stack, route, connection, has_failed: true };
        Self { observation: None, context: None, step, request: Some(request), timer: None }
    }

    fn begin(&mut self) {
        let step = std::mem::replace(&mut self.step, Step::Done);
        let (Step::Arrived { stack, route, connection, has_failed }, Some(request)) = (step, &self.request) else {
            return;
        };
        let settings = stack.settings.load();
        let (observation, context) = Observation::begin(stack, &settings, route, request, connection);
        self.context = Some(context);
        let observation = self.observation.insert(observation);
        self.step = if has_failed {
            Step::Refused { problem: None }
        } else {
            Step::begin(observation, &settings, &mut self.request)
        };
    }
}

impl Step {
    fn begin(observation: &mut Observation, settings: &Settings, arrived: &mut Option<Request>) -> Self {
        let request = arrived.as_mut().expect("not begun");
        if let Err(problem) = protect::check(settings, request, observation) {
            return Self::Refused { problem: Some(problem) };
        }
        if observation.route.connect_info {
            protect::note_peer(observation, request);
        }
        protect::say_anew(observation, request);
        observation.bound = protect::bound_body(settings, observation, request);
        let fault = protect::is_faulty(observation.route.kind)
            .then(|| observation.stack.faults.draw(&observation.route.template))
            .flatten();
        match protect::admission(observation, request) {
            Admission::Admitted(place) if fault.is_none() => Self::run(observation, arrived, place),
            admission => Self::Waiting { wait: Box::pin(wait(admission, fault, observation.context.deadline)) },
        }
    }

    fn run(observation: &Observation, arrived: &mut Option<Request>, place: Option<AdmissionPermit>) -> Self {
        let place = match &observation.bound {
            Some(bound) => place.map(|place| place.lendable(&bound.loan)),
            None => place,
        };
        if observation.route.kind != Kind::Work {
            return Self::Running { handler: None, place };
        }
        let (route, request) = (Arc::clone(&observation.route), arrived.take().expect("runs once"));
        let work = async move {
            let response = route.handlers.call(request).await;
            if let Some(place) = place {
                place.end(Instant::now(), response.status());
            }
            response
        };
        let work = request::scope(Arc::clone(&observation.context), work);
        Self::Working { task: AbortOnDropHandle::new(observation.stack.work.spawn(work)) }
    }
}

async fn wait(admission: Admission, fault: Option<Fault>, deadline: Option<Instant>) -> Waited {
    let place = match admission {
        Admission::Admitted(place) => place,
        Admission::Full(pool, class) => {
            Some(protect::wait(deadline, pool, class).await.map_err(IntoResponse::into_response)?)
        }
    };
    match fault {
        Some(fault) => fault.strike().await.map(|()| place),
        None => Ok(place),
    }
}

impl Future for RequestFuture {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let this = self.get_mut();
        if matches!(this.step, Step::Arrived { .. }) {
            this.begin();
        }
        let Self { observation, context, step, request, timer } = this;
        let context = context.as_ref().expect("begun");
        request::enter(context, || {
            let observed = observation.as_ref().expect("polled until it is ready");
            turn::forget();
            let response = match poll_step(step, request, observed, cx) {
                Poll::Ready(response) => response,
                Poll::Pending => {
                    ready!(poll_deadline(timer, context, cx));
                    Problem::new(Code::DeadlineExceeded).into_response()
                }
            };
            let ended = turn::look().into_std();
            // A refused request is dropped here, a handler below, which releases its place before the response is written.
            drop(request.take());
            if let Step::Running { place: Some(place), .. } = std::mem::replace(step, Step::Done) {
                place.end(ended, response.status());
            }
            Poll::Ready(response::finish(observation, response, ended))
        })
    }
}

/// Ready at the request's deadline.
fn poll_deadline(timer: &mut Option<Pin<Box<Sleep>>>, context: &RequestContext, cx: &mut Context<'_>) -> Poll<()> {
    let Some(deadline) = context.deadline else { return Poll::Pending };
    let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
    timer.as_mut().poll(cx)
}

fn poll_step(
    step: &mut Step,
    arrived: &mut Option<Request>,
    observation: &Observation,
    cx: &mut Context<'_>,
) -> Poll<Response> {
    loop {
        match step {
            Step::Refused { problem } => {
                return Poll::Ready(problem.take().unwrap_or_else(Problem::internal).into_response());
            }
            Step::Waiting { wait } => match ready!(wait.as_mut().poll(cx)) {
                Err(response) => return Poll::Ready(response),
                Ok(place) => *step = Step::run(observation, arrived, place),
            },
            Step::Running { handler, .. } => {
                let polled = catch_unwind(AssertUnwindSafe(|| {
                    // A handler of the app's own type may panic when it is called, or read the current request.
                    let call = || observation.route.handlers.call(arrived.take().expect("runs once"));
                    Pin::new(handler.get_or_insert_with(call)).poll(cx)
                }));
                return match polled {
                    Ok(polled) => polled,
                    Err(panic) => Poll::Ready(panicked(panic)),
                };
            }
            Step::Working { task } => {
                return match ready!(Pin::new(task).poll(cx)) {
                    Ok(response) => Poll::Ready(response),
                    Err(error) if error.is_panic() => Poll::Ready(panicked(error.into_panic())),
                    // The runtime is shutting down.
                    Err(_) => Poll::Ready(Problem::internal().into_response()),
                };
            }
            Step::Arrived { .. } | Step::Done => unreachable!("begun, and polled until it is ready"),
        }
    }
}

/// The panic hook has logged it.
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    discard(panic);
    Problem::internal().into_response()
}

/// A payload whose drop panics must not end the connection.
pub(super) fn discard(panic: Box<dyn Any + Send>) {
    let _ = catch_unwind(AssertUnwindSafe(move || drop(panic)));
}
