//! What the recipes share: Redis.
//!
//! A recipe is an example of its own, to be read from top to bottom and copied in part. Nothing here belongs to the
//! default build, and a clone has it only on request.

pub mod store;
