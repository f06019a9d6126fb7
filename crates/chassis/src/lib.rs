//! The engine of a service: everything a replica needs except its routes.
//!
//! It is built for many identical replicas of a plain-HTTP service behind a load balancer: connections with a timeout for
//! each way to be slow, a drain that loses no request, admission with a limit that follows latency, problems as RFC 9457,
//! health checks and probes on a listener of their own, logs, metrics and traces, a client for other services, and
//! settings from files and environment. It never names a service.
//!
//! # First steps
//!
//! A whole service:
//!
//! ```no_run
//! use std::{convert::Infallible, process::ExitCode};
//!
//! use chassis::{Chassis, openapi::get, router::Router};
//!
//! async fn hello() -> &'static str {
//!     "hello\n"
//! }
//!
//! fn main() -> ExitCode {
//!     chassis::main(chassis::service!(), async |(): &(), _: &Chassis| {
//!         Ok::<_, Infallible>(Router::new().route("/", get(hello).about("Says hello.")))
//!     })
//! }
//! ```
//!
//! It serves on port 8080, answers probes and `/metrics` on `127.0.0.1:8081`, and drains on SIGTERM. `--help` as its
//! argument lists its other commands, `schema` prints its settings.
//!
//! From there:
//! - handlers are axum's, with any of its extractors and responses; [`problem::Json`], [`problem::Query`],
//!   [`problem::Path`] and [`problem::FormBody`] tell a client more about what is wrong, as does [`problem::Problem`];
//! - [`router::Router`] takes what axum's takes, and whole routers of axum's; routes are marked on it: `cpu_bound()`,
//!   `pool("name")`, `max_body(…)`, `request_timeout(…)`, `cors(…)`, `decompress()`; [`openapi`] describes them;
//! - the function that makes the routes gets [`Chassis`]: metrics, checks ([`health`]), what the start waits for
//!   ([`Chassis::before_ready`]), background tasks ([`Chassis::spawn`], [`Chassis::every`]), the drain ([`lifecycle::Drain`]), and calls to
//!   other services ([`upstream`]);
//! - [`testing`] starts the service inside its tests;
//! - a service's own settings are a type instead of `()`, see [`config::AppSettings`].
//!
//! # Features
//!
//! On by default are those that ordinary handlers need. They are axum's, and what a service does not use of them is not in
//! its program; `default-features = false` spares their build.
//!
//! | feature | brings | dependencies |
//! |---|---|---|
//! | `multipart` | axum's `Multipart` as a parameter | multer |
//! | `ws` | axum's `WebSocketUpgrade` as a parameter | tokio-tungstenite |
//! | `axum-extra` | `TypedHeader` and `CookieJar` of axum-extra 0.12 as parameters and in results | axum-extra |
//!
//! The others are off. Each adds a protocol or a way to run, and dependencies that a service in a container has no use for.
//! What is asked for by a setting, and is not there, is refused at the start.
//!
//! | feature | brings | dependencies |
//! |---|---|---|
//! | `original-uri` | axum's `OriginalUri` as a parameter; axum's router notes the URI for each request then | none |
//! | `tls` | `https://` listeners, certificates that are read again when they change, clients' certificates; calls and exports over https | rustls with ring, tokio-rustls, x509-cert, hyper-rustls, webpki-roots |
//! | `proxy-protocol` | `server.proxy_protocol`: the client's address from a balancer that forwards bytes, versions 1 and 2 | none |
//! | `fastcgi` | `fastcgi://` listeners, for nginx, Apache, lighttpd | none |
//! | `uwsgi` | `uwsgi://` listeners, for nginx and others | none |
//! | `jobs` | a queue in the app's Postgres, schedules with one run in the fleet, events | those of `postgres`, croner, chrono, hmac, sha2 |
//! | `postgres` | a pool whose statements keep the request's deadline, migrations apart from replicas, a check of readiness | sqlx |
//! | `host` | a machine without a cluster: passed sockets, restart by SIGUSR2, privileges that are given up, systemd | caps, command-fds, listenfd, sd-notify |
//! | `wsgi` | [`wsgi`]: a Python WSGI application behind the routes | pyo3, by the crate `wsgi` |
//! | `identity` | `identity`: API keys, token introspection and client certificates on groups of routes | sha2, subtle |
//! | `oidc` | the same, and tokens of an `OpenID` Connect issuer that are JWTs | jsonwebtoken with aws-lc-rs |
//! | `guest` | the service inside another server's process, without a listener | none |
//!
//! # The source
//!
//! The modules stand in floors, top to bottom: each uses those below it and none above, and a test holds that order
//! (`crates/chassis/tests/it/floors.rs`). Code of the engine names a thing by the module that owns it; what is
//! re-exported here is for services.
//!
//! Next: [`program`].

#![allow(rustdoc::private_intra_doc_links, reason = "`Next:` is for who reads the source, where nothing is private")]

// A whole program, and what is composed of all the rest.
pub mod testing;
pub mod program;
pub mod wsgi;
#[cfg(feature = "jobs")]
pub mod jobs;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod replica;
pub mod config;

// Where connections come from.
mod host;
mod transports;
mod admin;
mod server;
mod listener;

// The routes, and who may call them.
#[cfg(feature = "identity")]
pub mod identity;
pub mod router;
pub mod openapi;

// One connection, and one request.
pub mod connection;
pub mod middleware;

// What a request meets.
mod balancer;
mod overload;
pub mod upstream;
pub mod health;
mod faults;

// What each of them tells, and how a replica ends.
pub mod telemetry;
pub mod problem;
pub mod tasks;
pub mod lifecycle;

// Words that all of them share.
mod trust;
mod runtime;
mod process;
pub(crate) mod peer;
pub mod request;
mod values;

pub use program::main;
pub use replica::Chassis;
