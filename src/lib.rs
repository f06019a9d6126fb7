//! The service: the app on the chassis.

pub mod chassis;
