//! axum's router on `axum::serve`, with no layer.

use axum::{Router, routing::get};

fn main() -> std::io::Result<()> {
    bench::runtime()?.block_on(async {
        let listener = bench::nodelay(tokio::net::TcpListener::bind(bench::address()).await?);
        let app = Router::new().route("/hello", get(async || bench::BODY));
        tokio::spawn(async { axum::serve(listener, app).await }).await?
    })
}
