//! The start of a server: when it first answers, and the CPU time until then.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::Outcome;

/// Starts a command and asks for a path until that answers with 200. `GROUP` is the directory of a control group, which
/// bounds its CPU time, or `-`.
pub(crate) fn start(cpu: usize, arguments: &[String]) -> Outcome<Value> {
    let [group, path, program, arguments @ ..] = arguments else { return Err("an argument is missing".into()) };
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    let begun = Instant::now();
    let mut child = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let bounded = bound(group, child.id());
    sched_setaffinity(Pid::from_raw(i32::try_from(child.id())?), &cpus)?;
    let answered = loop {
        if begun.elapsed() > Duration::from_secs(10) || child.try_wait()?.is_some() {
            break None;
        }
        if asks_once(path).is_ok_and(|answered| answered) {
            break Some(begun.elapsed());
        }
    };
    let used = cpu_time(child.id());
    child.kill()?;
    child.wait()?;
    bounded?;
    let answered = answered.ok_or("the server did not answer")?;
    Ok(json!({ "answered": answered.as_secs_f64(), "cpu": used? }))
}

fn bound(group: &str, pid: u32) -> std::io::Result<()> {
    if group == "-" { Ok(()) } else { fs::write(format!("{group}/cgroup.procs"), pid.to_string()) }
}

/// Seconds on a CPU so far, of all threads (proc(5), schedstat).
fn cpu_time(pid: u32) -> Outcome<f64> {
    let mut sum = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        sum += text.split(' ').next().unwrap_or_default().parse::<f64>()?;
    }
    Ok(sum / 1e9)
}

fn asks_once(path: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(bench::address())?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: bench.test\r\n\r\n").as_bytes())?;
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer)?;
    Ok(answer[..length].starts_with(b"HTTP/1.1 200"))
}
