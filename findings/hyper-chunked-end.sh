#!/usr/bin/env bash
# hyper takes a chunked body whose end is none, and loses the next request of the connection in its trailers.
#
# Guess: hyper's server reads a chunked body to the empty line that ends it (RFC 9112, section 7.1), so of two requests that
# come at once, both are answered, or the first is refused.
# Seen: hyper 1.12.0 ends a line of the trailer section at CR LF only, and does not look at what is in it until the section is
# over. With a bare LF behind the last chunk, or in a trailer, the head of the second request becomes trailers of the first:
# one answer with 200, and no second one.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat >"$folder/Cargo.toml" <<'TOML'
[package]
name = "seen"
version = "0.0.0"
edition = "2024"

[dependencies]
http-body-util = "=0.1.3"
hyper = { version = "=1.12.0", features = ["http1", "server"] }
hyper-util = { version = "=0.1.21", features = ["tokio"] }
tokio = { version = "1", features = ["io-util", "macros", "rt"] }

[workspace]
TOML
cat >"$folder/src/main.rs" <<'RUST'
//! How many of two requests are answered with 200, by the end of the first one's body.
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, body::{Bytes, Incoming}, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn answer(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, hyper::Error> {
    request.into_body().collect().await?;
    Ok(Response::new(Empty::new()))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for (what, end) in [("CR LF", "\r\n"), ("LF", "\n"), ("a trailer with a bare LF", "a: b\n\r\n")] {
        let (mut client, server) = tokio::io::duplex(4096);
        let served = tokio::spawn(http1::Builder::new().half_close(true).serve_connection(TokioIo::new(server), service_fn(answer)));
        let first = format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n{end}");
        let both = format!("{first}GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        client.write_all(both.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answers = String::new();
        client.read_to_string(&mut answers).await.unwrap();
        let _ = served.await;
        println!("{what}: {} of 2", answers.matches("200 OK").count());
    }
}
RUST
seen=$(cd "$folder" && CARGO_TARGET_DIR="$folder/target" cargo run --quiet)
echo "$seen"
expected=$'CR LF: 2 of 2\nLF: 1 of 2\na trailer with a bare LF: 1 of 2'
[ "$seen" = "$expected" ] || { echo "hyper has changed" >&2; exit 1; }
