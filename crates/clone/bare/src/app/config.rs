//! The app's own settings, `app.*`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use chassis::config::{Check, SettingErrors};

/// Settings `app.*`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {}

impl Check for Settings {
    fn check(&self, _: &mut SettingErrors) {}
}
