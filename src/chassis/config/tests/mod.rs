//! The settings as a whole, with a small app's.
