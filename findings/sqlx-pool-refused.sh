#!/usr/bin/env bash
# sqlx's pool says that it is busy where the server refuses the connection.
#
# Guess: a pool that cannot connect gives the error of the connection, so `/startupz`, a log or a health check says "connection
# refused" where no server is; PoolTimedOut means that all connections are in use.
# Seen: sqlx 0.9.0 takes a refused TCP connection for a server that is starting, tries again until `acquire_timeout` (30 s by
# default) has passed, drops the reason, and returns PoolTimedOut: "pool timed out while waiting for an open connection", also
# from an empty pool. The same options without a pool say at once what is wrong.
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
sqlx = { version = "=0.9.0", default-features = false, features = ["postgres", "runtime-tokio"] }
tokio = { version = "1", features = ["macros", "rt"] }

[workspace]
TOML
cat >"$folder/src/main.rs" <<'RUST'
//! What a pool and a connection say of a port on which nobody listens.
use std::{net::TcpListener, time::{Duration, Instant}};

use sqlx::{Connection, PgConnection, postgres::{PgConnectOptions, PgPoolOptions}};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let options = PgConnectOptions::new().host("127.0.0.1").port(port);
    let began = Instant::now();
    println!("{}", PgConnection::connect_with(&options).await.unwrap_err());
    assert!(began.elapsed() < Duration::from_secs(1));
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(1)).connect_lazy_with(options);
    println!("{}", pool.acquire().await.unwrap_err());
    assert!(began.elapsed() >= Duration::from_secs(1));
}
RUST
cargo build --quiet --manifest-path "$folder/Cargo.toml" --target-dir "$folder/target"

seen=$("$folder/target/debug/seen")
echo "$seen"
[ "$seen" = "error communicating with database: Connection refused (os error 111)
pool timed out while waiting for an open connection" ] || { echo "it has changed" >&2; exit 1; }
