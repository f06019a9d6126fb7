//! What the recipes share: a `main` on the chassis, and Redis.
//!
//! A recipe is an example of its own, to be read from top to bottom and copied in part. Nothing here belongs to the
//! default build, and a clone has it only on request.

pub mod store;

pub use service::serve;
