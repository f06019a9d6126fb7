//! One settings file, parsed.
//!
//! The `config` crate parses TOML and YAML. Only its raw values are used: its typed reads round, guess and repeat the
//! value in their errors, and so do the parsers' messages, of which only the line is kept.
//!
//! Next: [`super::value`].

use std::{error::Error, fs, io, path::Path};

use ::config::{ConfigError, File, FileFormat, Source as _};

use super::value::Value;
use crate::values::{SettingError, Source, encoding};

/// Reads `path`, by its extension; a table always.
///
/// # Errors
/// One that names the file, and the line where its syntax is wrong; nothing of its content.
pub(super) fn read(path: &Path) -> Result<Value, SettingError> {
    let refuse = |message: String| SettingError::of_source(Source::File(path.to_owned()), message);
    let format = format(path).ok_or_else(|| refuse("expected a name that ends with .toml, .yaml or .yml".into()))?;
    let bytes = fs::read(path).map_err(|error| refuse(unreadable(&error)))?;
    let text = encoding::lines(bytes).map_err(refuse)?;
    let entries = File::from_str(&text, format).collect().map_err(|error| refuse(syntax(format, &error, &text)))?;
    Ok(Value::Table(entries.into_iter().map(|(key, value)| (key, value.into())).collect()))
}

fn format(path: &Path) -> Option<FileFormat> {
    match path.extension()?.to_str()? {
        "toml" => Some(FileFormat::Toml),
        "yaml" | "yml" => Some(FileFormat::Yaml),
        _ => None,
    }
}

fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".into(),
        io::ErrorKind::IsADirectory => "is a directory, expected a file".into(),
        kind => format!("cannot be read: {kind}"),
    }
}

fn syntax(format: FileFormat, error: &ConfigError, text: &str) -> String {
    let language = if matches!(format, FileFormat::Toml) { "TOML" } else { "YAML" };
    let line = match error {
        ConfigError::FileParse { cause, .. } => line(&**cause, text),
        _ => None,
    };
    match line {
        Some(line) => format!("is not valid {language}, at line {line}"),
        None => format!("is not valid {language}: expected one document with a table at its top level"),
    }
}

fn line(cause: &(dyn Error + Send + Sync + 'static), text: &str) -> Option<usize> {
    if let Some(error) = cause.downcast_ref::<toml::de::Error>() {
        let before = text.get(..error.span()?.start)?;
        return Some(before.matches('\n').count() + 1);
    }
    // The YAML scanner's error ends with `at byte B line L column C`.
    let message = cause.to_string();
    let (_, after) = message.rsplit_once(" line ")?;
    after.split(' ').next()?.parse().ok()
}
