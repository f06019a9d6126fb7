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
use pin_project_lite::pin_project;
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
    peer::ConnectionInfo,
    problem::{Code, Problem},
    request::{self, RequestContext},
};

pin_project! {
    /// A request on its way through the middleware.
    pub(crate) struct RequestFuture {
        // Present until the response has been made.
        observation: Option<Observation>,
        context: Arc<RequestContext>,
        #[pin]
        step: Step,
        // Armed when the handler first waits.
        timer: Option<Pin<Box<Sleep>>>,
    }
}

pin_project! {
    #[project = StepProjection]
    #[project_replace = StepReplacement]
    enum Step {
        /// Refused before its handler.
        Refused { problem: Option<Problem> },
        /// Waits for a place, or for a fault's latency.
        Waiting { wait: Pin<Box<dyn Future<Output = Waited> + Send>>, request: Option<Request> },
        /// The handler runs here.
        Running { handler: Pending, place: Option<AdmissionPermit> },
        /// The handler runs on the work runtime, which holds the place.
        Working { task: AbortOnDropHandle<Response> },
        /// Answered.
        Done,
    }
}

/// A permit if one is needed, or a response instead.
type Waited = Result<Option<AdmissionPermit>, Response>;

impl RequestFuture {
    /// The app's code starts with the first poll.
    pub(super) fn begin(
        stack: Arc<Stack>,
        route: Arc<Route>,
        request: Request,
        connection: Option<ConnectionInfo>,
    ) -> Self {
        let settings = stack.settings.load();
        let (mut observation, context) = Observation::begin(stack, &settings, route, &request, connection);
        let step = Step::begin(&mut observation, &settings, request);
        Self { observation: Some(observation), context, step, timer: None }
    }
}

impl Step {
    fn begin(observation: &mut Observation, settings: &Settings, mut request: Request) -> Self {
        if let Err(problem) = protect::check(settings, &request, observation) {
            return Self::Refused { problem: Some(problem) };
        }
        if observation.route.connect_info {
            protect::note_peer(observation, &mut request);
        }
        protect::say_anew(observation, &mut request);
        observation.bound = protect::bound_body(settings, observation, &mut request);
        let fault = protect::is_faulty(observation.route.kind)
            .then(|| observation.stack.faults.draw(&observation.route.template))
            .flatten();
        match protect::admission(observation, &request) {
            Admission::Admitted(place) if fault.is_none() => Self::run(observation, request, place),
            admission => {
                let wait = Box::pin(wait(admission, fault, observation.context.deadline));
                Self::Waiting { wait, request: Some(request) }
            }
        }
    }

    fn run(observation: &Observation, request: Request, place: Option<AdmissionPermit>) -> Self {
        let place = match &observation.bound {
            Some(bound) => place.map(|place| place.lendable(&bound.loan)),
            None => place,
        };
        let handler = observation.route.handlers.call(request);
        if observation.route.kind != Kind::Work {
            return Self::Running { handler, place };
        }
        let work = async move {
            let response = handler.await;
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
        let mut this = self.project();
        request::enter(this.context, || {
            let observation = this.observation.as_ref().expect("polled until it is ready");
            let response = match poll_step(this.step.as_mut(), observation, cx) {
                Poll::Ready(response) => response,
                Poll::Pending => {
                    ready!(poll_deadline(this.timer, this.context, cx));
                    Problem::new(Code::DeadlineExceeded).into_response()
                }
            };
            let ended = Instant::now();
            // Drops the handler and releases its place before the response is written.
            if let StepReplacement::Running { place: Some(place), .. } = this.step.project_replace(Step::Done) {
                place.end(ended, response.status());
            }
            let observation = this.observation.take().expect("polled until it is ready");
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

fn poll_step(mut step: Pin<&mut Step>, observation: &Observation, cx: &mut Context<'_>) -> Poll<Response> {
    loop {
        let next = match step.as_mut().project() {
            StepProjection::Refused { problem } => {
                return Poll::Ready(problem.take().unwrap_or_else(Problem::internal).into_response());
            }
            StepProjection::Waiting { wait, request } => match ready!(wait.as_mut().poll(cx)) {
                Err(response) => return Poll::Ready(response),
                Ok(place) => Step::run(observation, request.take().expect("waits once"), place),
            },
            StepProjection::Running { handler, .. } => {
                let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(handler).poll(cx)));
                return match polled {
                    Ok(polled) => polled,
                    Err(panic) => Poll::Ready(panicked(panic)),
                };
            }
            StepProjection::Working { task } => {
                return match ready!(Pin::new(task).poll(cx)) {
                    Ok(response) => Poll::Ready(response),
                    Err(error) if error.is_panic() => Poll::Ready(panicked(error.into_panic())),
                    // The runtime is shutting down.
                    Err(_) => Poll::Ready(Problem::internal().into_response()),
                };
            }
            StepProjection::Done => unreachable!("polled until it is ready"),
        };
        step.set(next);
    }
}

/// The panic hook has logged it.
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    // A payload whose drop panics must not end the connection.
    let _ = catch_unwind(AssertUnwindSafe(move || drop(panic)));
    Problem::internal().into_response()
}
