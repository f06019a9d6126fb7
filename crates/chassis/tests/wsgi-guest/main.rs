//! The service as a guest in Python's servers: the doors' battery under gunicorn, and `wsgiref.validate`.
//!
//! `make wsgi-guest` builds and runs it. As in `tests/it`, a missing tool fails its test, and nothing is retried.
//!
//! Next: `fronts`, then `battery` of the doors.

#[path = "../it/harness/mod.rs"]
#[allow(dead_code, reason = "the other test binary uses the rest")]
mod harness;

#[path = "../doors/battery.rs"]
mod battery;
#[path = "../doors/cases.rs"]
mod cases;
#[allow(dead_code, reason = "there are two doors here")]
#[path = "../doors/door.rs"]
mod door;
mod fronts;
mod hosted;
