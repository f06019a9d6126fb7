//! What a host of Python's may do with it: assert that it keeps to PEP 3333, fork, end, and ask it with bad settings.

use std::{path::Path, time::Duration};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};

use crate::{
    fronts::{Gunicorn, Log, python},
    harness::{Scratch, http, tools},
};

#[tokio::test]
async fn it_passes_wsgirefs_validator() {
    let scratch = Scratch::new("validate");
    let mut command = python(&scratch);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("wsgi-guest/validate.py"));
    let done = tools::output(command, "", Duration::from_mins(1)).await;
    assert!(done.code == 0 && done.text.contains("passed"), "exit code {}:\n{}", done.code, done.text);
    println!("{}", done.text);
}

#[tokio::test]
async fn gunicorn_hosts_the_service_and_finishes_what_is_in_flight() {
    let log = Log::default();
    let mut host = Gunicorn::start("battery", &["--workers=2"], &[], &log).await;
    let address = host.address;
    let asked = tokio::spawn(async move { http::get(address, "/slow?ms=1000").await });
    let runs = async || http::get(address, "/slow/running").await.ok().filter(|running| running.text() == "1");
    // Two workers count for themselves.
    assert!(crate::harness::within(Duration::from_secs(10), runs).await.is_some(), "{}", log.log());
    let pid = Pid::from_raw(host.child.id().expect("a process").try_into().expect("a process id"));
    signal::kill(pid, Signal::SIGTERM).expect("signalling");
    assert_eq!(asked.await.expect("a task").expect("an answer").text(), "slow\n", "{}", log.log());
    let ended = tokio::time::timeout(Duration::from_secs(20), host.child.wait()).await;
    assert!(ended.is_ok_and(|status| status.is_ok_and(|status| status.success())), "{}", log.log());
}

#[tokio::test]
async fn the_service_itself_is_a_module_too() {
    let log = Log::default();
    let host = Gunicorn::start("service", &[], &[], &log).await;
    for (path, status) in [("/whoami", 200), ("/openapi.json", 200), ("/nothing", 404), ("/healthz", 200)] {
        let answer = http::get(host.address, path).await.expect("an answer");
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.header("x-request-id").is_some() || path == "/healthz", "{path}");
    }
}

#[tokio::test]
async fn bad_settings_end_the_import_and_are_named() {
    let scratch = Scratch::new("bad");
    let mut command = python(&scratch);
    command.args(["-c", "import service"]).env("APP__SERVER__MAX_BODY", "much").env("APP__NO__SUCH", "1");
    let done = tools::output(command, "", Duration::from_mins(1)).await;
    assert_eq!(done.code, 1, "{}", done.text);
    for name in ["RuntimeError", "APP__SERVER__MAX_BODY", "APP__NO__SUCH"] {
        assert!(done.text.contains(name), "{name} in {}", done.text);
    }
}
