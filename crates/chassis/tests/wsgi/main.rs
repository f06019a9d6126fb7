//! Python behind the routes: PEP 3333 under wsgiref.validate, streams, Flask, Django, and a route that moves.
//!
//! `make wsgi` builds and runs it: the bridge is a cargo feature. As in `tests/it`, a missing tool fails its test, and
//! nothing is retried.
//!
//! Next: `python`, then `pep3333`.

#[path = "../it/harness/mod.rs"]
#[allow(dead_code, reason = "the other test binary uses the rest")]
mod harness;

mod bounds;
mod frameworks;
mod moved;
mod pep3333;
mod python;
mod streams;
