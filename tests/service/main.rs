//! The service's own tests.
//!
//! Next: `description`.

mod description;
mod generated;
