//! Every door with the real server on its other side: nginx, Apache, uWSGI and cgi-fcgi in front of one app.
//!
//! `make doors` builds and runs it: the doors are cargo features. As in `tests/it`, a missing tool fails its test, and
//! nothing is retried.
//!
//! Next: `fronts`, then `battery`.

#[path = "../it/harness/mod.rs"]
#[allow(dead_code, reason = "the other test binary uses the rest")]
mod harness;

mod battery;
mod drain;
mod fastcgi;
mod fronts;
mod proxy;
mod spoofed;
mod tls;
mod uwsgi;
