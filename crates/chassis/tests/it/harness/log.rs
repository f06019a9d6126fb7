//! The log of a process: its lines as they come, and what they say of its listeners.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// The lines of a process, as they come.
pub(crate) type Logs = Arc<Mutex<Vec<String>>>;

/// Reads the lines of `stream` into `logs`.
pub(crate) fn collect(stream: impl AsyncRead + Send + Unpin + 'static, logs: Logs) {
    collect_until(stream, logs, Arc::default());
}

/// The same, until it is told to stop, and keeps the stream then.
pub(super) fn collect_until(stream: impl AsyncRead + Send + Unpin + 'static, logs: Logs, deaf: Arc<AtomicBool>) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            logs.lock().expect("the log").push(line);
            if deaf.load(Relaxed) {
                std::future::pending::<()>().await;
            }
        }
    });
}

/// The address of the listener `name`, once the log tells it.
pub(crate) fn listener(logs: &Logs, name: &str) -> Option<SocketAddr> {
    logs.lock().expect("the log").iter().find_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        let ours = line["target"] == "listener" && line["message"] == "listening" && line["listener"] == name;
        ours.then(|| line["url"].as_str()?.rsplit('/').next()?.parse().ok())?
    })
}

/// The URLs of the application's listeners, in the order of the settings.
pub(super) fn urls(logs: &Logs) -> Vec<String> {
    let logs = logs.lock().expect("the log");
    let lines = logs.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ours = lines.filter(|line| line["message"] == "listening" && line["listener"] == "app");
    ours.filter_map(|line| line["url"].as_str().map(ToOwned::to_owned)).collect()
}

/// All lines so far.
pub(super) fn text(logs: &Logs) -> String {
    logs.lock().expect("the log").join("\n")
}
