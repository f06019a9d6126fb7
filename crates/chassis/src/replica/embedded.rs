//! The app embedded in another server's process: its router behind the whole middleware, without sockets.
//!
//! The host passes each request as CGI variables, as in FastCGI. It starts threads, so start it after
//! the host has forked. It does not listen, handle signals or drain requests: the host does. It has no
//! admin listener, since the host may run several processes; `/healthz` is one of the routes.
//!
//! Next: [`crate::transports`], whose mapping of variables it shares.

use std::{
    fmt,
    io::{self, IsTerminal},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::header;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout},
};

use super::{
    Chassis, StartError, app,
    core::{Core, healthz},
    runtimes::Runtimes,
    start::{Verdicts, metrics},
};
use crate::{
    config::{self, AppSettings, Live, Sources},
    connection::Entry,
    lifecycle::Lifecycle,
    middleware::routes::Routes,
    peer::{Abort, ConnectionInfo, Respond as _},
    request::{self, RequestContext},
    router::Router,
    tasks::Tasks,
    telemetry::{self, Identity, Telemetry},
    transports::cgi::{self, Head},
};

/// The body of a response.
pub type ResponseBody = Body;

/// A started app without a listener.
pub struct Embedded {
    routes: Routes,
    core: Core,
    telemetry: Arc<Telemetry>,
    tasks: Tasks,
    lifecycle: Lifecycle,
    drain_timeout: Duration,
    flush_timeout: Duration,
    runtimes: Runtimes,
}

/// A request from the host.
#[derive(Debug)]
pub struct Request(Head);

impl Request {
    /// Reads CGI's variables.
    ///
    /// # Errors
    /// The response to an invalid request.
    pub fn read<'a>(variables: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Result<Self, Box<Response>> {
        cgi::read(variables).map(Self).map_err(|bad| {
            tracing::debug!(?bad, "a request was refused");
            let problem = bad.problem();
            let context = Arc::new(RequestContext::anonymous());
            Box::new(request::enter(&context, || problem.into_response()))
        })
    }

    /// Length of the body, if known.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.0.length
    }

    /// Whether the client sent its body in chunks.
    #[must_use]
    pub fn is_chunked(&self) -> bool {
        self.0.is_chunked
    }
}

impl Embedded {
    /// Starts runtimes, telemetry and the app, and waits for what the app needs before it is ready.
    ///
    /// # Errors
    /// Errors in the settings, one line each, or a start failure: also one that takes longer than
    /// `lifecycle.start_timeout`.
    pub fn start<A, F, E>(sources: Sources, identity: Identity, app: F) -> Result<Self, StartError>
    where
        A: AppSettings,
        F: AsyncFnOnce(&A, &Chassis) -> Result<Router, E>,
        E: fmt::Display,
    {
        let bad = |errors: config::SettingErrors| {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            StartError::new("reading the settings", lines.join("\n"))
        };
        let loaded = config::load::<A>(&sources).map_err(bad)?;
        let lookup = |name: &str| sources.environment.get(name).map(str::to_owned);
        let telemetry = telemetry::start(&loaded.settings.telemetry, &identity, &lookup, io::stdout().is_terminal());
        let telemetry = Arc::new(telemetry.map_err(|error| StartError::new("starting telemetry", error))?);
        let lifecycle = &loaded.settings.lifecycle;
        let (drain_timeout, flush_timeout) = (lifecycle.drain_timeout.get(), lifecycle.flush_timeout.get());
        let live = Live::new(sources, loaded);
        let runtimes = Runtimes::start(&live.get().runtime, &telemetry)?;
        let (routes, core, tasks, lifecycle) =
            runtimes.io.block_on(enter(&live, identity, &telemetry, &runtimes, app))?;
        tracing::info!(config_hash = %live.loaded().hash, "started inside another server");
        Ok(Self { routes, core, telemetry, tasks, lifecycle, drain_timeout, flush_timeout, runtimes })
    }

    /// The runtime of requests, on which their bodies must be awaited.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        self.runtimes.io.handle()
    }

    /// The app's response for the host: without hop-by-hop headers, with a length if known,
    /// and without a body where none is allowed. None if a fault rule breaks the connection.
    pub async fn answer<B>(&self, request: Request, body: Option<B>) -> Option<Response>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let Head { parts, client, scheme, .. } = request.0;
        let method = parts.method.clone();
        let request = http::Request::from_parts(parts, body.map_or_else(Body::empty, Body::new));
        let entry = self.core.connections.enter(None);
        // Over a Unix socket the host has no address: the peer is local.
        let client = client.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0));
        let connection = ConnectionInfo::new(client, scheme, None, &entry, &self.core.limits);
        let response = self.routes.respond(request, &connection).await;
        if response.extensions().get::<Abort>().is_some() {
            return None;
        }
        let (mut parts, body) = response.into_parts();
        let hop: Vec<_> = parts.headers.keys().filter(|name| cgi::is_of_the_hop(name.as_str())).cloned().collect();
        for name in hop {
            parts.headers.remove(name);
        }
        if cgi::is_bodiless(&method, parts.status) {
            return Some(Response::from_parts(parts, Body::empty()));
        }
        if let Some(length) = body.size_hint().exact() {
            parts.headers.entry(header::CONTENT_LENGTH).or_insert_with(|| length.into());
        }
        Some(Response::from_parts(parts, Body::new(Held { body, _entry: entry })))
    }

    /// Ends background tasks within `lifecycle.drain_timeout`, closes the app's resources, and flushes telemetry; for the
    /// end of the host, when it sends no more requests.
    pub fn stop(&self) {
        self.lifecycle.begin_drain(Duration::ZERO);
        self.lifecycle.end_requests();
        self.runtimes.io.block_on(async {
            if timeout(self.drain_timeout, self.tasks.ended()).await.is_err() {
                self.tasks.cut();
            }
            self.tasks.close(Instant::now() + self.flush_timeout).await;
        });
        self.lifecycle.stopped();
        let _ = self.telemetry.flush(self.flush_timeout);
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").finish_non_exhaustive()
    }
}

async fn enter<A, F, E>(
    live: &Live<A>,
    identity: Identity,
    telemetry: &Telemetry,
    runtimes: &Runtimes,
    app: F,
) -> Result<(Routes, Core, Tasks, Lifecycle), StartError>
where
    A: AppSettings,
    F: AsyncFnOnce(&A, &Chassis) -> Result<Router, E>,
    E: fmt::Display,
{
    let (registry, io) = (telemetry.registry(), runtimes.io.handle());
    let verdicts = Verdicts::start(live, registry, io)?;
    let chassis = Chassis::new(telemetry, &verdicts, identity).map_err(metrics)?;
    config::Metrics::new(registry).map_err(metrics)?.record(live);
    let loaded = live.loaded();
    for note in loaded.notes.iter().chain(&loaded.remarks) {
        tracing::warn!("{note}");
    }
    let settings = live.get();
    let routes = app::within(settings.lifecycle.start_timeout.get(), &chassis, async {
        let routes = app(&settings.app, &chassis).await.map_err(app::failed)?;
        chassis.steps.run(io).await;
        Ok(routes)
    });
    let routes = routes.await?.merge(healthz(&verdicts.probes));
    verdicts.checks.start(io);
    let core = Core::new(live, telemetry, &verdicts, &chassis.served, runtimes);
    io.spawn(Arc::clone(&core.resize).run());
    // The host accepts.
    verdicts.accepting.iter().for_each(|accepting| accepting.store(true, Relaxed));
    verdicts.lifecycle.ready();
    chassis.tasks.start(io);
    Ok((routes.build(&core.stack), core, chassis.tasks, verdicts.lifecycle))
}

/// A response body that keeps its request counted as open.
struct Held {
    body: Body,
    _entry: Arc<Entry>,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
