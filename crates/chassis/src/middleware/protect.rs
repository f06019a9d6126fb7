//! Checks between a request's head and its handler.
//!
//! A new limit: its key in `server::settings`, its default in [`super::settings`], its check in [`check`].
//!
//! Next: [`super::transfer_codings`].

use std::{sync::Arc, time::Instant};

use axum::extract::{ConnectInfo, DefaultBodyLimit, Request};
use http::{HeaderMap, Method, StatusCode, Version, header};

use super::{
    body::{self, Bound, Bounds},
    coding,
    decompression::Decoded,
    observation::Observation,
    route::{Kind, Route},
    settings::Settings,
    transfer_codings,
    uploads::Tracked,
};
use crate::{
    overload::{AdmissionPermit, Class, Limiter, Shed},
    problem::{Code, Problem},
    values::Size,
};

/// Refuses a request with an ambiguous host or target, codings that are not read, a head or declared body that is too
/// large, or an expired deadline.
pub(super) fn check(settings: &Settings, request: &Request, observation: &Observation) -> Result<(), Problem> {
    if let Some(detail) = observation.bad_host {
        return Err(Problem::new(Code::MalformedRequest).with_detail(detail));
    }
    if is_misdirected(request) {
        return Err(Problem::new(Code::MalformedRequest).with_detail("The request target is invalid."));
    }
    if observation.is_coded
        && let Some(problem) = transfer_codings::refusal(request.headers())
    {
        if let Some(connection) = &observation.connection {
            connection.abandon_body();
        }
        return Err(problem);
    }
    let uri = request.uri();
    let target = uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
    if target > settings.max_uri.len() {
        return Err(Problem::new(Code::UriTooLong));
    }
    // `len` is at hand; fields are counted only where it is above the limit.
    let most = settings.max_headers;
    if request.headers().len() > most && fields(request.headers()) > most {
        return Err(Problem::new(Code::HeadTooLarge).with_detail("The request has too many header fields."));
    }
    if head_size(request, target, observation.head_bytes) > settings.max_head.len() {
        return Err(Problem::new(Code::HeadTooLarge));
    }
    if observation.request_bytes.is_some_and(|length| length > max_body(settings, &observation.route).get()) {
        return Err(Problem::new(Code::BodyTooLarge));
    }
    if observation.context.deadline.is_some_and(|deadline| deadline <= observation.started) {
        return Err(Problem::new(Code::DeadlineExceeded));
    }
    Ok(())
}

/// Whether the target has no leading slash: an authority (`GET host`) and `GET *` name no resource (RFC 9112, section 3.2).
fn is_misdirected(request: &Request) -> bool {
    let uri = request.uri();
    // HTTP/2 has no absolute form, whose path may be empty.
    let has_slash = match uri.path_and_query() {
        Some(target) if request.version() >= Version::HTTP_2 => target.as_str().starts_with('/'),
        _ => uri.path().starts_with('/'),
    };
    let is_of_its_own =
        |method: &Method| *method == Method::CONNECT || (*method == Method::OPTIONS && uri.path() == "*");
    !has_slash && !is_of_its_own(request.method())
}

/// How many fields a head has; HTTP/2 may split `Cookie` into many (RFC 9113, section 8.2.3), which count as one.
fn fields(headers: &HeaderMap) -> usize {
    headers.len() - headers.get_all(header::COOKIE).iter().skip(1).count()
}

/// Makes a head what the app's layers and handlers read rightly.
pub(super) fn say_anew(observation: &Observation, request: &mut Request) {
    observation.identity.allow(request.headers_mut());
    if observation.coded.cookies > 1 {
        coding::join_cookies(request.headers_mut());
    }
}

/// 2 MiB, as in axum-core 0.5 (`with_limited_body`).
const AXUMS_LIMIT: usize = 2_097_152;

/// Bounds the request's body; a request without one is left as it is.
pub(super) fn bound_body(settings: &Settings, observation: &Observation, request: &mut Request) -> Option<Bound> {
    if http_body::Body::is_end_stream(request.body()) {
        return None;
    }
    let limit = max_body(settings, &observation.route).len();
    // axum's extractors have a limit of their own that no setting shows. It says nothing new where ours is no higher and no
    // layer makes the body longer; to note that it is off costs three allocations.
    if limit > AXUMS_LIMIT || !observation.route.handlers.is_direct(request.method()) {
        DefaultBodyLimit::disable().apply(request);
    }
    let bounds = Bounds {
        limit,
        timeout: settings.body_timeout.get(),
        min_rate: settings.min_rate.get(),
        connection: observation.connection.clone(),
        upload: Tracked::new(&observation.stack.uploads),
    };
    let (body, bound) = body::bound(std::mem::take(request.body_mut()), bounds);
    *request.body_mut() = body;
    if observation.coded.is_encoded {
        request.extensions_mut().insert(Decoded { limit, broken: Arc::clone(&bound.broken) });
    }
    Some(bound)
}

/// The route's own limit, else the server's.
fn max_body(settings: &Settings, route: &Route) -> Size {
    route.max_body.unwrap_or(settings.max_body)
}

/// Notes the connection, and the peer where axum's `ConnectInfo` looks for it.
pub(super) fn note_peer(observation: &Observation, request: &mut Request) {
    if let Some(connection) = &observation.connection {
        request.extensions_mut().insert(ConnectInfo(connection.peer()));
        request.extensions_mut().insert(connection.clone());
    }
}

/// Bytes as HTTP/1 would write them.
fn head_size(request: &Request, target: usize, fields: usize) -> usize {
    request.method().as_str().len() + target + "  HTTP/1.1\r\n".len() + fields
}

/// Bytes of the body; in HTTP/1 only if the head declares them, in HTTP/2 from the stream.
pub(super) fn content_length(request: &Request, is_told: bool) -> Option<u64> {
    if is_told || request.version() >= Version::HTTP_2 {
        return http_body::Body::size_hint(request.body()).exact();
    }
    None
}

/// A place for the request: immediate, after a wait, or not needed.
pub(super) enum Admission {
    Admitted(Option<AdmissionPermit>),
    Full(Arc<Limiter>, Class),
}

pub(super) fn admission(observation: &Observation, request: &Request) -> Admission {
    let Some(pool) = &observation.route.pool else { return Admission::Admitted(None) };
    match pool.try_admit(observation.started, observation.context.deadline) {
        Some(place) => Admission::Admitted(Some(place)),
        None => Admission::Full(Arc::clone(pool), class(observation, request)),
    }
}

/// The request's class; only a trusted peer may set it. Read only when it makes a difference.
fn class(observation: &Observation, request: &Request) -> Class {
    if observation.is_trusted() { Class::stated(request.headers()) } else { Class::default() }
}

/// Waits for a place; a refusal is a problem with a jittered `Retry-After`.
pub(super) async fn wait(
    deadline: Option<Instant>,
    limiter: Arc<Limiter>,
    class: Class,
) -> Result<AdmissionPermit, Problem> {
    let retry_after = limiter.retry_after();
    let status = StatusCode::from_u16(limiter.refusal_status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    limiter.admit(class, deadline).await.map_err(|shed| match shed {
        Shed::Deadline => Problem::new(Code::DeadlineExceeded),
        Shed::QueueFull | Shed::QueueTimeout | Shed::Displaced => Problem::overloaded(retry_after).with_status(status),
    })
}

/// Whether faults apply to the route: probes stay truthful in drills.
pub(super) fn is_faulty(kind: Kind) -> bool {
    matches!(kind, Kind::Io | Kind::Work)
}
