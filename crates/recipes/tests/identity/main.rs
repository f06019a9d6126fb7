//! Who is admitted by the recipe `identity`, and who is refused, with an issuer of the tests' own on loopback.
//!
//! `make examples` builds and runs them.

#[path = "../../examples/identity.rs"]
#[expect(dead_code, reason = "the test starts it without its `main`")]
mod app;
mod introspection;
mod issuer;
mod keys;
mod mesh;
mod outage;
mod outbound;
mod refusals;
mod rotation;
mod service;
