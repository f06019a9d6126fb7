//! The tests against the running program.

fn main() {}
