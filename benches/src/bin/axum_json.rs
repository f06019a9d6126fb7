//! axum's router with one route, its `Json` both ways, and no layer.

use axum::{Json, Router, http::StatusCode, routing::post};
use bench::quotes::{Parcel, Quote};

async fn quote(Json(parcel): Json<Parcel>) -> Result<Json<Quote>, StatusCode> {
    parcel.quote().map(Json).ok_or(StatusCode::UNPROCESSABLE_ENTITY)
}

fn main() -> std::io::Result<()> {
    bench::runtime()?.block_on(async {
        let listener = bench::nodelay(tokio::net::TcpListener::bind(bench::address()).await?);
        let app = Router::new().route("/v1/quotes", post(quote));
        tokio::spawn(async { axum::serve(listener, app).await }).await?
    })
}
