//! Sockets that somebody else holds: an activator that passes them as systemd does, and systemd's own.

use std::{
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use command_fds::{CommandFdExt, FdMapping};
use nix::sys::signal::Signal;
use tokio::process::Command;

use crate::{
    harness::{
        at, eventually, exclusive, free_port, http,
        load::{Load, Mode},
        local, number, server, shared,
        tools::{self, Output},
    },
    line::Line,
};

/// Passes `sockets` by name, and what systemd sets beside: the id is that of the process that is started.
fn pass<'a>(command: &mut Command, sockets: impl IntoIterator<Item = (&'a str, OwnedFd)>) {
    let (names, sockets): (Vec<_>, Vec<_>) = sockets.into_iter().unzip();
    let program = command.as_std().get_program().to_owned();
    let mut shell = server::command(std::path::Path::new("sh"), &[]);
    for (name, value) in command.as_std().get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\""]).arg(program).args(command.as_std().get_args());
    shell.env("LISTEN_FDS", names.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
    let mappings = (3..).zip(sockets).map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd });
    shell.as_std_mut().fd_mappings(mappings.collect()).expect("different descriptors");
    *command = shell;
}

fn held() -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("binding any port");
    let address = socket.local_addr().expect("a bound address");
    (socket, address)
}

fn handles<'a>(sockets: &[(&'a str, &TcpListener)]) -> Vec<(&'a str, OwnedFd)> {
    sockets.iter().map(|(name, socket)| (*name, socket.try_clone().expect("a second handle").into())).collect()
}

/// The service with `sockets` passed to it.
pub(crate) async fn activated<'a>(
    listen: &str,
    sockets: impl IntoIterator<Item = (&'a str, OwnedFd)>,
    settings: &[(&str, &str)],
) -> Line {
    Line::start_program(server::program(), settings, |command| {
        command.env("APP__SERVER__LISTEN", listen);
        pass(command, sockets);
        command.process_group(0).stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    })
    .await
}

/// Half as many restarts as [`crate::restart`] makes.
#[tokio::test]
async fn restarts_under_an_activator_refuse_no_connection() {
    let _turn = exclusive().await;
    let restarts = number("HOST_RESTARTS", 10) / 2;
    let (socket, address) = held();
    let settings = [("APP__LIFECYCLE__DRAIN_DELAY", "1s")];
    let loads = [Mode::NewConnection, Mode::KeepAlive].map(|mode| (mode, Load::start(address, 16, mode, "/whoami")));
    let ok = || loads.iter().map(|(_, load)| load.ok()).sum::<u64>();
    for _ in 0..restarts {
        let line = activated("http+fd://web", handles(&[("web", &socket)]), &settings).await;
        let before = ok();
        let served = async || (ok() > before + 200).then_some(());
        eventually("requests are served", Duration::from_secs(20), served).await;
        assert_eq!(line.stop().await, [0]);
    }
    let last = activated("http+fd://web", handles(&[("web", &socket)]), &settings).await;
    let mut failed = 0;
    for (mode, load) in loads {
        let outcomes = load.stop().await;
        println!("{restarts} restarts under an activator, {mode:?}: {outcomes}");
        failed += outcomes.failed();
    }
    assert_eq!(failed, 0, "lost");
    assert_eq!(last.stop().await, [0]);
}

#[tokio::test]
async fn a_passed_socket_is_passed_on_in_a_restart() {
    let _turn = exclusive().await;
    let (socket, address) = held();
    let mut line = activated("http+fd://web", handles(&[("web", &socket)]), &[]).await;
    let load = Load::start(address, 8, Mode::NewConnection, "/whoami");
    for _ in 0..3 {
        let next = Instant::now() + Duration::from_millis(300);
        line.restart().await;
        at(next).await;
    }
    let outcomes = load.stop().await;
    assert!(outcomes.ok > 100 && outcomes.failed() == 0, "{outcomes}");
    assert_eq!(line.stop().await, [0; 4]);
}

#[tokio::test]
async fn sockets_are_taken_by_name_and_by_number() {
    let _turn = shared().await;
    let ((first, one), (second, two), (third, _)) = (held(), held(), held());
    let sockets = [("a.socket", &first), ("b.socket", &second), ("c.socket", &third)];
    let line = activated("http+fd://b.socket,http+fd://0", handles(&sockets), &[]).await;
    for address in [one, two] {
        assert_eq!(http::get(address, "/whoami").await.expect("an answer").status, 200, "{address}");
    }
    line.logs("matches no URL of server.listen").await;
    assert!(line.log().contains("c.socket") && !line.log().contains("\"name\":\"a.socket\""), "{}", line.log());
    line.signal(Signal::SIGTERM);
    assert_eq!(line.exit_code(line.pid()).await, 0);
    drop(line);
}

#[tokio::test]
async fn a_socket_that_was_not_passed_is_named() {
    let _turn = shared().await;
    let (socket, _) = held();
    for (listen, part) in [("http+fd://other", "http+fd://other"), ("http+fd://1", "no descriptor of this name")] {
        let done = run(listen, &[("web", &socket)]).await;
        assert_eq!(done.code, 1, "{}", done.text);
        assert!(done.text.contains(part) && done.text.contains("server.listen"), "{}", done.text);
    }
    let done = run("http+fd://web", &[]).await;
    assert_eq!(done.code, 1, "{}", done.text);
}

/// systemd gives one name to all `ListenStream=` of a socket unit: serving the first alone would leave clients of the second
/// waiting in its queue for ever.
#[tokio::test]
async fn two_sockets_of_one_name_are_refused_and_served_by_number() {
    let _turn = shared().await;
    let ((first, one), (second, two)) = (held(), held());
    let sockets = [("web", &first), ("web", &second)];
    let done = run("http+fd://web", &sockets).await;
    assert_eq!(done.code, 1, "{}", done.text);
    let says = "2 inherited descriptors have this name: list them by number, http+fd://0,http+fd://1";
    assert!(done.text.contains(says) && done.text.contains("server.listen"), "{}", done.text);

    let mut line = activated("http+fd://0,http+fd://1", handles(&sockets), &[]).await;
    line.restart().await;
    for address in [one, two] {
        assert_eq!(http::get(address, "/whoami").await.expect("an answer").status, 200, "{address}");
    }
    assert_eq!(line.stop().await, [0; 2]);
}

#[tokio::test]
async fn sockets_that_are_meant_for_another_process_are_not_taken() {
    let _turn = shared().await;
    let mut command = server::command(server::program(), &server::SETTINGS);
    command.envs([("APP__SERVER__LISTEN", "http+fd://0"), ("LISTEN_FDS", "1"), ("LISTEN_PID", "1")]);
    let done = tools::output(command, "", Duration::from_secs(20)).await;
    assert!(done.code == 1 && done.text.contains("no descriptor of this name"), "{}: {}", done.code, done.text);
}

/// Runs the service to its end, for starts that must fail.
async fn run(listen: &str, sockets: &[(&str, &TcpListener)]) -> Output {
    let mut command = server::command(server::program(), &server::SETTINGS);
    command.env("APP__SERVER__LISTEN", listen);
    pass(&mut command, handles(sockets));
    tools::output(command, "", Duration::from_secs(20)).await
}

#[tokio::test]
async fn systemds_own_activator_starts_it_on_the_first_connection() {
    let _turn = shared().await;
    let address = local(free_port());
    let mut command = server::command(&tools::find("systemd-socket-activate"), &[]);
    command.args(["--listen", &address.to_string(), "--fdname", "web"]);
    for (name, value) in server::SETTINGS {
        command.args(["--setenv", &format!("{name}={value}")]);
    }
    command.args(["--setenv", "APP__SERVER__LISTEN=http+fd://web"]).arg(server::program());
    command.kill_on_drop(true).stdin(std::process::Stdio::null());
    let mut child = command.spawn().expect("starting the activator");
    // It connects once the activator listens, and waits in the queue while the service starts.
    let answer = async || http::get(address, "/whoami").await.ok();
    let answer = eventually("an answer", Duration::from_secs(20), answer).await;
    assert_eq!(answer.status, 200);
    child.kill().await.expect("ending it");
}
