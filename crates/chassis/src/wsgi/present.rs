//! The application as the router's fallback, for a build that has Python.
//!
//! Next: [`super::metrics`].

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
    routing::any,
};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use wsgi::{Application, Around, Connection, Failure};

use super::{MountError, Settings, metrics::Metrics};
use crate::{
    peer::ConnectionInfo,
    problem::{BodyError, Problem},
    replica::Chassis,
    request::{self, RequestContext},
    router::Router,
};

/// The name of the fallback's pool, and its route in metrics; it has no slash, so it is no path.
const NAME: &str = "wsgi";

pub(super) fn mount(
    router: Router,
    application: &str,
    settings: &Settings,
    chassis: &Chassis,
) -> Result<Router, MountError> {
    let wanted = wsgi::Settings {
        application: application.to_owned(),
        path: settings.path.clone(),
        threads: settings.threads,
        queue: settings.queue,
    };
    let application =
        Application::load(&wanted, &Handle::current()).map_err(|error| MountError::Load(error.to_string()))?;
    let metrics = Metrics::new(application.clone(), settings.threads, router.paths())?;
    tracing::info!(
        application = wanted.application,
        routes = metrics.routes(),
        "Python serves the paths that no Rust route matches"
    );
    chassis.registry.register(Box::new(metrics))?;
    let streams = settings.stream_bodies;
    let answer = move |Extension(info): Extension<ConnectionInfo>, request: Request| {
        let application = application.clone();
        async move {
            let request = if streams { request } else { whole(request).await? };
            Ok::<_, Problem>(answer(&application, &info, request).await)
        }
    };
    Ok(router.named_fallback(NAME, any(answer)))
}

/// The request with its body in memory: a slow upload occupies no Python thread. Its size is limited, and so is
/// the sum of all of them (`server.max_upload_bytes`).
async fn whole(request: Request) -> Result<Request, Problem> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|error| BodyError::find(&error))?;
    Ok(Request::from_parts(parts, Body::new(body.map_err(|never| match never {}))))
}

async fn answer(application: &Application, info: &ConnectionInfo, request: Request) -> Response {
    let context = request::current();
    let connection = connection(info, &request, context.as_deref());
    match application.call(request, connection, Context(context)).await {
        Ok(response) => response.map(axum::body::Body::new),
        // 1 to 3 s at random: the queue drains faster, and clients that retry at once would fill it again.
        Err(Failure::Full) => Problem::overloaded(Duration::from_millis(fastrand::u64(1000..3000))).into_response(),
        // The bridge has logged why.
        Err(Failure::Failed) => Problem::internal().into_response(),
    }
}

fn connection(info: &ConnectionInfo, request: &Request, context: Option<&RequestContext>) -> Connection {
    let headers = request.headers();
    let client = info.client(headers);
    Connection {
        scheme: info.scheme(headers),
        client,
        client_port: (client == info.peer().ip()).then(|| info.peer().port()),
        host: info.host(request.uri(), headers).map(str::to_owned),
        is_trusted: info.is_trusted(),
        request_id: context.map(|context| context.id().to_owned()),
    }
}

/// Python's log lines for a request contain its id.
struct Context(Option<Arc<RequestContext>>);

impl Around for Context {
    fn run(&self, work: &mut dyn FnMut()) {
        match &self.0 {
            Some(context) => request::enter(context, work),
            None => work(),
        }
    }
}
