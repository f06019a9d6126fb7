#!/usr/bin/env bash
# tower-http's compression leaves a strong ETag on the bytes that it has changed.
#
# Guess: what compresses a response weakens its ETag, as nginx's gzip filter does, or leaves the response alone: a strong
# ETag says that two responses are the same byte by byte, and RFC 9110 (section 8.8.3.3) wants another one for each content
# coding.
# Seen: CompressionLayer of tower-http 0.7.1 sends the identity and the gzip form under one strong ETag. A client that has
# half of one form asks for the rest by `If-Range` with that ETag, and a cache or proxy that honours it gives bytes of
# the other. An application whose responses are compressed has to send weak ETags (`W/"…"`) itself.
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
bytes = "=1.12.0"
http = "1"
http-body-util = "0.1"
tokio = { version = "1", features = ["macros", "rt"] }
tower = { version = "=0.5.3", features = ["util"] }
tower-http = { version = "=0.7.1", features = ["compression-gzip"] }

[workspace]
TOML
cat >"$folder/src/main.rs" <<'RUST'
//! ETag, coding and length of one resource, asked for without and with gzip.
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_http::compression::CompressionLayer;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for coding in ["identity", "gzip"] {
        let resource = service_fn(async |_: Request<Full<Bytes>>| {
            let response = Response::builder().header(header::ETAG, "\"v1\"").header(header::CONTENT_TYPE, "text/plain");
            Ok::<_, std::convert::Infallible>(response.body(Full::new(Bytes::from_static(&[b'a'; 4096]))).unwrap())
        });
        let service = ServiceBuilder::new().layer(CompressionLayer::new()).service(resource);
        let request = Request::get("/").header(header::ACCEPT_ENCODING, coding).body(Full::default()).unwrap();
        let (head, body) = service.oneshot(request).await.unwrap().into_parts();
        let header = |name| head.headers.get(name).map_or("none", |value: &http::HeaderValue| value.to_str().unwrap());
        let (tag, coded) = (header(header::ETAG), header(header::CONTENT_ENCODING));
        let bytes = body.collect().await.unwrap().to_bytes();
        println!("asked for {coding}: ETag {tag}, Content-Encoding {coded}, same bytes {}", bytes == [b'a'; 4096][..]);
    }
}
RUST
cargo build --quiet --manifest-path "$folder/Cargo.toml" --target-dir "$folder/target"

seen=$("$folder/target/debug/seen")
echo "$seen"
expected='asked for identity: ETag "v1", Content-Encoding none, same bytes true
asked for gzip: ETag "v1", Content-Encoding gzip, same bytes false'
[ "$seen" = "$expected" ] || { echo "it has changed" >&2; exit 1; }
