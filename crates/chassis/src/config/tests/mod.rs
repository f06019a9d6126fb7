//! The settings as a whole, with a small app's.

mod bad;
mod content;
mod editors;
mod layers;
mod otel;
mod reload;
mod shown;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::{Check, Environment, Loaded, Secret, SettingErrors, Settings, Sources, load};

/// What a service of its own might set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct App {
    /// What is said first; a | in it needs care.
    greeting: String,
    /// What the other side wants to see.
    token: Secret,
    /// Where rates come from.
    rates_url: Option<String>,
    /// Any names.
    labels: BTreeMap<String, String>,
    /// Ports that are asked.
    ports: Vec<u16>,
    /// How it is done.
    mode: Mode,
    /// Bounds.
    limits: Limits,
    /// A network.
    network: Option<Network>,
    /// Of a type that tells too much.
    chatty: Chatty,
}

/// Repeats what it was given in its errors, as many types do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
struct Chatty(String);

impl<'de> Deserialize<'de> for Chatty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "" => Ok(Self(text)),
            "7" => Err(de::Error::custom("expected nothing at all")),
            _ => Err(de::Error::custom(format!("what does {text:?} mean? {}", &text[..3]))),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Plain,
    Fancy,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Limits {
    /// How many at once.
    burst: u8,
}

/// Needs both of its keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Network {
    /// Its name.
    name: String,
    /// Its hops.
    hops: u8,
}

impl Default for App {
    fn default() -> Self {
        Self {
            greeting: "hello".into(),
            token: Secret::default(),
            rates_url: None,
            labels: BTreeMap::new(),
            ports: vec![80],
            mode: Mode::Plain,
            limits: Limits::default(),
            network: None,
            chatty: Chatty::default(),
        }
    }
}

impl Check for App {
    fn check(&self, errors: &mut SettingErrors) {
        errors.require(!self.greeting.is_empty(), "greeting", "expected a text that is not empty");
    }
}

/// A directory that goes with its owner.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("settings-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn sources(pairs: &[(&str, &str)], files: &[&Path]) -> Sources {
    Sources {
        files: files.iter().map(|path| path.to_path_buf()).collect(),
        overlay: None,
        environment: pairs.iter().copied().collect::<Environment>(),
    }
}

fn with_environment(pairs: &[(&str, &str)]) -> Result<Loaded<App>, SettingErrors> {
    load(&sources(pairs, &[]))
}

fn settings(pairs: &[(&str, &str)]) -> Settings<App> {
    Settings::clone(&with_environment(pairs).unwrap().settings)
}
