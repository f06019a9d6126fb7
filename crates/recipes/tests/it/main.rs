//! The recipes as processes, with a real Redis, and real peers for what they call.
//!
//! `make examples` builds and runs them; Redis is installed by `make tools`.

mod grpc;
mod harness;
mod idempotency;
mod notes;
mod rate_limit;
mod webhook;
