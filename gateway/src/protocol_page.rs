//! `GET /protocol`: our own statement of the contract. A test asks for every endpoint that it names.

use axum::{Router, http::header, response::IntoResponse, routing::get};

pub const TEXT: &str = include_str!("../protocol.md");

pub fn routes() -> Router {
    Router::new().route("/protocol", get(page))
}

async fn page() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], TEXT)
}
