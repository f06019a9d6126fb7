//! The service: the app on the chassis.

pub mod app;
pub mod chassis;
