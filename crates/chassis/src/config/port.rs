//! `PORT`: where Cloud Run, Knative, Heroku and other platforms tell a program to listen.
//!
//! It is only the default's port: every other layer ranks above it, since a shell may have a `PORT` of another program.
//! Where it is not followed it may be anything; where it is, what is no port is refused, for the platform sends requests
//! nowhere else.
//!
//! Next: [`super::keys`].

use super::value::{Leaf, Value};
use crate::{
    process::Environment,
    values::{SettingError, SettingErrors, Source},
};

const NAME: &str = "PORT";
const KEY: [&str; 2] = ["server", "listen"];

/// The listener that `PORT` asks for, unless one of `above` sets the listeners. A file that was not read might do so, too:
/// then nobody asks.
pub(super) fn leaf(environment: &Environment, above: &[&[Leaf]], errors: &mut SettingErrors) -> Option<Leaf> {
    let is_listen = |leaf: &Leaf| leaf.path.iter().map(String::as_str).eq(KEY);
    if above.iter().copied().flatten().any(is_listen) {
        return None;
    }
    let source = Source::Variable(NAME.to_owned());
    let text = environment.filled(NAME).or_else(|| environment.unreadable().find(|name| *name == NAME))?;
    if let Ok(port @ 1..) = text.parse::<u16>() {
        let value = Value::List(vec![Value::Text(format!("http://[::]:{port}"))]);
        return Some(Leaf { path: KEY.map(ToOwned::to_owned).into(), value, source });
    }
    let message = "expected a port from 1 to 65535; APP__SERVER__LISTEN ranks above it";
    errors.push(SettingError::new(KEY.join("."), message).found_in(source));
    None
}
