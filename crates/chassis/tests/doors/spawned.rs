//! `spawn-fcgi`, which leaves a listening socket as descriptor 0.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::Command;

use crate::{
    harness::{Scratch, eventually, free_port, local, server, shared, tools},
    line::gone,
};

/// The app with the socket that spawn-fcgi makes of `options`; its PID. spawn-fcgi ends when the app has begun.
pub(crate) async fn spawn(scratch: &Scratch, options: &[&str], settings: &[(&str, &str)]) -> i32 {
    let pid_file = scratch.path().join("pid");
    let mut command = server::command(&tools::find("spawn-fcgi"), &server::SETTINGS);
    command.envs(settings.iter().copied()).args(options);
    command.arg("-P").arg(&pid_file).arg("--").arg(server::example("battery"));
    let done = tools::output(command, "", Duration::from_secs(20)).await;
    assert_eq!(done.code, 0, "{}", done.text);
    fs::read_to_string(&pid_file).expect("a PID file").trim().parse().expect("a number")
}

pub(crate) async fn end(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGTERM).expect("signalling");
    gone(pid).await;
}

#[tokio::test]
async fn the_socket_of_spawn_fcgi_is_taken_over_tcp_and_unix() {
    let _turn = shared().await;
    let scratch = Scratch::new("spawned");
    let address = local(free_port());
    let path = scratch.path().join("app.sock");
    let (port, at_path) = (address.port().to_string(), path.display().to_string());
    let ways =
        [(["-a", "127.0.0.1", "-p", &port], address.to_string()), (["-s", &at_path, "-M", "0666"], at_path.clone())];
    for (options, at) in &ways {
        let pid = spawn(&scratch, options, &[("APP__SERVER__LISTEN", "fastcgi+fd://0")]).await;
        let answer = async || {
            let text = ask(at).await;
            text.starts_with("Status: 200 OK\r\n").then_some(text)
        };
        let text = eventually("an answer", Duration::from_secs(20), answer).await;
        assert!(text.contains("\"body\":\"12345\""), "{text}");
        end(pid).await;
    }
    assert!(
        fs::metadata(&path).is_ok_and(|file| file.permissions().mode() & 0o777 == 0o666),
        "the file is spawn-fcgi's"
    );
}

/// What `cgi-fcgi` is answered at `at`.
async fn ask(at: &str) -> String {
    let mut command = Command::new(tools::find("cgi-fcgi"));
    command.args(["-bind", "-connect", at]).env_clear();
    command.envs([("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/echo"), ("CONTENT_LENGTH", "5")]);
    tools::output(command, "12345", Duration::from_secs(10)).await.text
}
