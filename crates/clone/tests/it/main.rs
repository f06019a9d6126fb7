//! Clones of this repository, made, checked and updated in a folder of their own.
//!
//! `UPDATE=1` renews what bare clones have of generated files; `make generate` does that. `FULL=yes` makes all of the odd
//! names, and is what `make test-full` does.

mod bare;
mod engine;
mod forge;
mod harness;
mod releases;
mod server;
mod size;
mod starting;
mod updating;
mod upgrading;
