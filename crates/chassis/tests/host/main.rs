//! The service on a host, built with the feature `host`: restarts, passed sockets, privileges, systemd.
//!
//! A binary of its own, as the feature is one that the default build has not. It shares the harness of `tests/it`.
//!
//! Next: `line`, then `restart`.

#[allow(dead_code, reason = "the other test binary uses the rest")]
#[path = "../it/harness/mod.rs"]
mod harness;

mod control_group;
mod http2;
mod line;

mod activation;
mod broken;
mod handover;
mod privileges;
mod resize;
mod restart;
mod systemd;
mod unix;
