//! `GET /protocol`: our own statement of the contract. A test asks for every endpoint that it names.

use axum::{Router, http::header, response::IntoResponse, routing::get};

pub const TEXT: &str = include_str!("../protocol.md");

pub fn routes() -> Router {
    Router::new().route("/protocol", get(page))
}

async fn page() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every table of routes that clients reach.
    const TABLES: [&str; 6] = [
        include_str!("oauth/routes.rs"),
        include_str!("policy/routes.rs"),
        include_str!("admin/routes.rs"),
        include_str!("inference/listing.rs"),
        include_str!("boot/health.rs"),
        include_str!("protocol_page.rs"),
    ];

    #[test]
    fn every_route_stands_on_the_page() {
        let marker = concat!(".route", "(\"");
        let routes = TABLES.iter().flat_map(|table| table.split(marker).skip(1));
        let mut seen = 0;
        for route in routes.map(|route| route.lines().next().unwrap()) {
            let (path, methods) = route.split_once('"').unwrap();
            assert!(TEXT.contains(&format!(" | {path} | ")), "{path}");
            for (call, method) in [("get(", "GET"), ("post(", "POST"), ("delete(", "DELETE"), ("put(", "PUT")] {
                let stated = TEXT.contains(&format!("| {method} | {path} | "));
                assert!(stated || !methods.contains(call), "{method} {path}");
            }
            seen += 1;
        }
        assert!(seen > 15, "{seen}");
    }
}
