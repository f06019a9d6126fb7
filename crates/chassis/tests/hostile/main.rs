//! Peers that send slowly, hold what they get, or say what is not theirs to say: one file per kind.
//!
//! Each case has 32 healthy clients beside it and asserts three things: none of their requests failed, the hostile
//! peers were closed at their limit, and the memory of the process grew by a bounded amount. The limits are shortened
//! by settings, so that the whole runs in two minutes; `HOSTILE=full` runs it at the size of an attack.
//!
//! The inputs are harmless to other software: requests that are slow, incomplete or unread.
//!
//! Next: `beside`.

#[path = "../it/harness/mod.rs"]
#[allow(dead_code, reason = "the other test binaries use the rest")]
mod harness;

#[path = "../doors/packet.rs"]
mod packet;
#[path = "../doors/fastcgi/peer.rs"]
#[allow(dead_code, reason = "tests/doors uses the rest")]
mod peer;

mod beside;
#[path = "../it/connections/frames.rs"]
#[allow(dead_code, reason = "tests/it uses the rest")]
mod frames;

mod admin;
mod cap;
mod dependencies;
mod http2;
mod logs;
mod memory;
mod strangers;
mod uploads;
