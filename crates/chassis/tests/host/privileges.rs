//! A port below 1024, and nothing left of what it took to bind it. Needs root: it starts with what root has.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process, time::Duration};

use crate::harness::{
    server, shared,
    tools::{self, Output, is_root},
};

/// Starts the service on port 81 of a network of its own by `START`, shows what the process is allowed, restarts it,
/// and shows the same of the new one.
const VISIT: &str = r#"
set -e
ip link set lo up
if [ -n "$FIRST_FREE_PORT" ]; then echo "$FIRST_FREE_PORT" >/proc/sys/net/ipv4/ip_unprivileged_port_start; fi
pid_file=$DIRECTORY/pid
trap 'kill -KILL $(cat "$pid_file") 2>/dev/null || true' EXIT
eval "$START" &
first=$!
ready() { [ -s "$pid_file" ] && curl --silent --fail http://127.0.0.1:8081/readyz >/dev/null; }
for _ in $(seq 400); do if ready; then break; fi; kill -0 $first || break; sleep 0.05; done
ready || { wait $first; exit 1; }
show() {
    echo "== $1"
    grep -E '^(Uid|Gid|Groups|CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs):' "/proc/$(cat "$pid_file")/status"
    curl --silent --fail http://127.0.0.1:81/whoami
    echo
}
show first
old=$(cat "$pid_file")
kill -USR2 "$old"
for _ in $(seq 400); do if [ "$(cat "$pid_file")" != "$old" ]; then break; fi; sleep 0.05; done
[ "$(cat "$pid_file")" != "$old" ]
show second
last=$(cat "$pid_file")
wait $first
kill -TERM "$last"
# Whoever adopted it may not have asked for its exit code yet.
while [ -e "/proc/$last" ] && ! grep -q '^State:.Z' "/proc/$last/status" 2>/dev/null; do sleep 0.05; done
echo done
"#;

/// The service where any user may run it, with a directory that any user may write to.
struct Installed(PathBuf);

impl Installed {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("{name}-{}", process::id()));
        fs::create_dir_all(&directory).expect("creating a directory");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).expect("opening it");
        fs::copy(server::program(), directory.join("server")).expect("installing the service");
        Self(directory)
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn visit(name: &str, start: &str, settings: &[(&str, &str)]) -> Output {
    assert!(is_root(), "this test gives up root's privileges; run it as root: sudo --preserve-env make test");
    for tool in ["unshare", "ip", "curl", "setpriv"] {
        tools::find(tool);
    }
    let installed = Installed::new(name);
    let mut command = server::command(&tools::find("unshare"), &server::SETTINGS);
    let directory = &installed.0;
    command.envs([("APP__SERVER__LISTEN", "http://127.0.0.1:81"), ("APP__ADMIN__LISTEN", "127.0.0.1:8081")]);
    command.env("DIRECTORY", directory).env("APP__HOST__PID_FILE", directory.join("pid"));
    command.env("START", start.replace("SERVER", &directory.join("server").display().to_string()));
    command.envs(settings.iter().copied());
    command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
    command.args(["--net", "sh", "-c", VISIT]);
    tools::output(command, "", Duration::from_mins(1)).await
}

/// The value of `field` in /proc/PID/status of the process called `which`.
fn field<'a>(done: &'a Output, which: &str, field: &str) -> &'a str {
    let part = done.text.split(&format!("== {which}\n")).nth(1);
    let part = part.unwrap_or_else(|| panic!("no {which} process, exit code {}:\n{}", done.code, done.text));
    let line = part.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t"));
    line.unwrap_or_else(|| panic!("no {field} in:\n{part}"))
}

const NONE: &str = "0000000000000000";

fn holds_nothing(done: &Output, bounding: &str) {
    assert!(done.code == 0 && done.text.contains("done"), "exit code {}:\n{}", done.code, done.text);
    for which in ["first", "second"] {
        for identity in ["Uid", "Gid"] {
            assert_eq!(field(done, which, identity), "65534\t65534\t65534\t65534", "{which} {identity}");
        }
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(field(done, which, set), NONE, "{which} {set}");
        }
        assert_eq!(field(done, which, "CapBnd"), bounding, "{which}");
        assert_eq!(field(done, which, "NoNewPrivs"), "1", "{which}");
    }
}

#[tokio::test]
async fn root_binds_port_81_and_becomes_a_user_with_nothing() {
    let _turn = shared().await;
    let settings = [("APP__HOST__USER", "65534"), ("APP__HOST__GROUP", "65534")];
    let done = visit("root", "exec SERVER", &settings).await;
    holds_nothing(&done, NONE);
    for which in ["first", "second"] {
        let groups = field(&done, which, "Groups").trim();
        assert!(groups.is_empty() || groups == "65534", "{which}: {groups}");
    }
}

#[tokio::test]
async fn a_name_stands_for_user_and_group() {
    let _turn = shared().await;
    holds_nothing(&visit("name", "exec SERVER", &[("APP__HOST__USER", "nobody")]).await, NONE);
}

#[tokio::test]
async fn an_ambient_capability_binds_port_81_and_goes() {
    let _turn = shared().await;
    let start = "exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps -all,+net_bind_service \
                 --ambient-caps -all,+net_bind_service --bounding-set -all,+net_bind_service SERVER";
    let done = visit("ambient", start, &[]).await;
    // Who may not clear the bounding set is held by no-new-privileges.
    holds_nothing(&done, "0000000000000400");
}

#[tokio::test]
async fn a_port_that_the_kernel_frees_needs_no_capability() {
    let _turn = shared().await;
    let start = "exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps -all --bounding-set -all SERVER";
    holds_nothing(&visit("freed", start, &[("FIRST_FREE_PORT", "81")]).await, NONE);
}

#[tokio::test]
async fn capabilities_are_kept_where_the_settings_say_so() {
    let _turn = shared().await;
    let start = "exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps -all,+net_bind_service \
                 --ambient-caps -all,+net_bind_service SERVER";
    let done = visit("kept", start, &[("APP__HOST__KEEP_CAPABILITIES", "true")]).await;
    assert_eq!(done.code, 0, "{}", done.text);
    for which in ["first", "second"] {
        assert_eq!(field(&done, which, "CapEff"), "0000000000000400", "{which}");
    }
}

#[tokio::test]
async fn port_81_without_any_of_these_is_refused_by_name() {
    let _turn = shared().await;
    let start = "exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps -all --bounding-set -all SERVER";
    let done = visit("refused", start, &[("FIRST_FREE_PORT", "1024")]).await;
    assert_ne!(done.code, 0, "{}", done.text);
    for part in ["127.0.0.1:81", "server.listen", "Permission denied"] {
        assert!(done.text.contains(part), "no {part} in:\n{}", done.text);
    }
}

#[tokio::test]
async fn privileges_that_cannot_be_dropped_stop_the_start() {
    let _turn = shared().await;
    for (settings, part) in [
        (&[("APP__HOST__USER", "no-such-user")][..], "host.user: no such name on this host"),
        (&[("APP__HOST__USER", "nobody"), ("APP__HOST__GROUP", "no-such-group")][..], "host.group: no such name"),
        (&[("APP__HOST__USER", "4000000")][..], "host.group: required"),
        (&[("APP__HOST__PID_FILE", "/no/such/directory/pid")][..], "host.pid_file"),
    ] {
        let refused = server::run_to_exit(&[], settings).await;
        assert!(refused.code == 1 && refused.text.contains(part), "exit code {}: {}", refused.code, refused.text);
    }
    let refused = server::run_to_exit(&[], &[("APP__HOST__GROUP", "nogroup")]).await;
    assert!(refused.code == 78 && refused.text.contains("group needs user"), "{}", refused.text);
}
