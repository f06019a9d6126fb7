//! A collector that is not ours: Rotel, a Python package, which prints the spans that it gets.

use std::{
    fs,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::net::TcpStream;

use super::{Scratch, eventually, free_port, local, tools};

/// A running collector. Dropping it kills it.
pub(crate) struct Rotel {
    grpc: SocketAddr,
    http: SocketAddr,
    child: Child,
    scratch: Scratch,
}

impl Rotel {
    pub(crate) async fn start() -> Self {
        let scratch = Scratch::new("rotel");
        let (grpc, http) = (local(free_port()), local(free_port()));
        let output = fs::File::create(scratch.path().join("output")).expect("creating the output file");
        let child = Command::new(tools::find("rotel-agent"))
            .args(["start", "--exporter", "blackhole", "--debug-log", "traces", "--debug-log-verbosity", "detailed"])
            .args(["--otlp-grpc-endpoint", &grpc.to_string(), "--otlp-http-endpoint", &http.to_string()])
            .current_dir(scratch.path())
            .args(["--pid-file", "pid", "--log-file", "log"])
            .stdin(Stdio::null())
            .stderr(output.try_clone().expect("a second handle"))
            .stdout(output)
            .spawn()
            .expect("starting rotel-agent");
        let rotel = Self { grpc, http, child, scratch };
        for address in [grpc, http] {
            let what = format!("rotel accepts on {address}; it says:\n{}", rotel.output());
            eventually(&what, Duration::from_secs(20), async || TcpStream::connect(address).await.ok()).await;
        }
        rotel
    }

    /// For `telemetry.otlp_protocol` `grpc`.
    pub(crate) fn grpc_url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// For `telemetry.otlp_protocol` `http/protobuf`.
    pub(crate) fn http_url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// What it printed so far.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.scratch.path().join("output")).expect("reading the output file")
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
