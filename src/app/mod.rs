//! Stub app.
use crate::chassis::{
    config::{Check, Problems},
    replica::{Chassis, StartError},
    router::Router,
};
/// x
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {}
impl Check for Settings {
    fn check(&self, _: &mut Problems) {}
}
/// x
pub fn router(_: &Settings, c: &Chassis) -> Result<Router, StartError> {
    let served = c.served.clone();
    Ok(Router::new()
        .route(
            "/whoami",
            axum::routing::get(move || {
                let s = served.clone();
                async move { s.get().to_string() }
            }),
        )
        .route("/echo", axum::routing::post(|b: bytes::Bytes| async move { b })))
}
