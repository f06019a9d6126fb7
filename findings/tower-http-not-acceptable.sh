#!/usr/bin/env bash
# tower-http's compression answers 406 over every status of a handler, once the client accepts no content coding.
#
# Guess: a layer that refuses a client's Accept-Encoding either asks before the handler, or changes only what there is a
# representation of: RFC 9110 (section 15.5.7) is about the target's representations, and a 204, a 304 or an error is
# none.
# Seen: CompressionLayer of tower-http 0.7.1 calls the handler, keeps its headers and its body, and writes 406 over its
# status: over a 204, a 304 (a cache loses its entry), a 405 with its Allow and a 503 with its Retry-After (a client that
# would try again does not). `Accept-Encoding: identity;q=0` is enough.
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
//! The status of handlers behind the layer, for a client that accepts no coding.
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_http::compression::CompressionLayer;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for status in [200, 204, 304, 405, 503] {
        let resource = service_fn(move |_: Request<Full<Bytes>>| async move {
            let response = Response::builder().status(status).header(header::RETRY_AFTER, "1");
            let body = if status == 204 || status == 304 { "" } else { "a body of the handler" };
            Ok::<_, std::convert::Infallible>(response.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap())
        });
        let service = ServiceBuilder::new().layer(CompressionLayer::new()).service(resource);
        let request = Request::get("/").header(header::ACCEPT_ENCODING, "identity;q=0").body(Full::default()).unwrap();
        let (head, body) = service.oneshot(request).await.unwrap().into_parts();
        let (kept, bytes) = (head.headers.contains_key(header::RETRY_AFTER), body.collect().await.unwrap().to_bytes());
        println!("{status} is {}, its headers kept {kept}, {} bytes of its body", head.status.as_u16(), bytes.len());
    }
}
RUST
cargo build --quiet --manifest-path "$folder/Cargo.toml" --target-dir "$folder/target"

seen=$("$folder/target/debug/seen")
echo "$seen"
expected='200 is 406, its headers kept true, 21 bytes of its body
204 is 406, its headers kept true, 0 bytes of its body
304 is 406, its headers kept true, 0 bytes of its body
405 is 406, its headers kept true, 21 bytes of its body
503 is 406, its headers kept true, 21 bytes of its body'
[ "$seen" = "$expected" ] || { echo "it has changed" >&2; exit 1; }
