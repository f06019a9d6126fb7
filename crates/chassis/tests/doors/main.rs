//! Every door with the real server on its other side: nginx, Apache, `HAProxy`, lighttpd, uWSGI and cgi-fcgi in
//! front of one app.
//!
//! `make doors` builds and runs it: the doors are cargo features. As in `tests/it`, a missing tool fails its test, and
//! nothing is retried.
//!
//! Next: `fronts`, then `battery`.

#[path = "../it/harness/mod.rs"]
#[allow(dead_code, reason = "the other test binary uses the rest")]
mod harness;

#[path = "../host/line.rs"]
#[allow(dead_code, reason = "tests/host uses the rest")]
mod line;

mod battery;
mod bodiless;
mod cases;
mod codings;
mod door;
mod drain;
mod event_streams;
mod fastcgi;
mod fronts;
mod half_closed;
mod heads;
mod health_check;
mod last_answer;
mod packet;
mod proxy;
mod restart;
mod spawned;
mod spoken;
mod spoofed;
mod tls;
mod uwsgi;
