//! An app with resources: its start waits for a database, it has a background task, and it closes what it has at its end.
//!
//! `APP__APP__DATABASE=127.0.0.1:5432 cargo run -p chassis-tests --bin resources`.

use std::{future::pending, process::ExitCode, thread, time::Duration};

use chassis::{
    Chassis,
    config::{self, Check, SettingErrors},
    lifecycle::Drain,
    openapi::get,
    router::Router,
    tasks::Restart,
};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpStream, time::sleep};

fn main() -> ExitCode {
    chassis::main(chassis::service!(), router)
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// What answers before the replica is ready: `host:port`.
    database: Option<String>,
    /// How the function that makes the routes ends.
    start: Start,
    /// The background task.
    task: Option<Task>,
    /// What the task needs for its end, or a mail to be sent.
    takes: config::Duration,
    /// Whether closing the database never ends.
    closing_hangs: bool,
}

impl Check for Settings {
    fn check(&self, _: &mut SettingErrors) {}
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Start {
    #[default]
    Well,
    Fails,
    /// Awaits what never comes.
    Waits,
    /// Keeps its thread.
    Blocks,
    Panics,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Task {
    /// Ends some time after the drain has begun.
    Ends,
    /// Ends some time after the last request.
    Writes,
    Hangs,
    Panics,
    /// Fails, and starts again.
    Fails,
    /// Runs every few milliseconds.
    Often,
}

async fn router(settings: &Settings, chassis: &Chassis) -> Result<Router, String> {
    match settings.start {
        Start::Well => tokio::task::yield_now().await,
        Start::Fails => return Err("the table is gone".to_owned()),
        Start::Waits => pending().await,
        Start::Blocks => loop {
            thread::park();
        },
        Start::Panics => panic!("no such table"),
    }
    if let Some(address) = settings.database.clone() {
        chassis.before_ready("database", move || connect(address.clone()));
    }
    if let Some(task) = settings.task {
        task.begin(settings.takes.get(), chassis);
    }
    let hangs = settings.closing_hangs;
    chassis.on_shutdown("database", async move {
        if hangs {
            pending::<()>().await;
        }
        println!("database closed");
    });
    chassis.on_shutdown("cache", async { println!("cache closed") });
    let (later, takes) = (chassis.clone(), settings.takes.get());
    let mail = get(async move || {
        later.spawn("mail", move |_| async move {
            sleep(takes).await;
            println!("mail sent");
        });
        "accepted\n"
    });
    let routes = Router::new()
        .route("/hello", get(async || "hello\n").about("Says hello"))
        .route("/mail", mail.about("Sends a mail behind the response"))
        .route("/slow", get(slow).about("Responds after a second"));
    Ok(routes.documented("Resources", &chassis.identity))
}

async fn connect(address: String) -> Result<(), std::io::Error> {
    TcpStream::connect(address).await.map(drop)
}

async fn slow() -> &'static str {
    sleep(Duration::from_secs(1)).await;
    println!("responded");
    "slow\n"
}

impl Task {
    fn begin(self, takes: Duration, chassis: &Chassis) {
        match self {
            Self::Ends => chassis.spawn("purge", move |drain| async move {
                drain.started().await;
                sleep(takes).await;
                println!("purged");
            }),
            Self::Writes => chassis.spawn("writer", move |drain: Drain| async move {
                drain.requests_ended().await;
                sleep(takes).await;
                println!("written");
            }),
            Self::Hangs => chassis.spawn("purge", |_| pending::<()>()),
            Self::Panics => chassis.spawn("purge", |_| async { panic!("no table to purge") }),
            Self::Fails => chassis.supervise("purge", Restart::OnFailure, |_| async { Err::<(), _>("no table") }),
            Self::Often => chassis.every("purge", Duration::from_millis(5), move || sleep(takes)),
        }
    }
}
