//! `GET /managed/settings`: the settings that a Claude Code has to follow (`protocol.md`, section 8).
//!
//! Invariant: a 304 says that the client has exactly this document; whoever says nothing of that kind gets it whole.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    Effective,
    document::Document,
    routes::{Governed, PolicyParts, refused},
};
use crate::{door::RequestId, session::Admitted};

const VERSION: HeaderName = HeaderName::from_static("x-cc-gateway-version");

pub(super) async fn get(
    State(parts): State<Arc<PolicyParts>>,
    Extension(request_id): Extension<RequestId>,
    Governed { admitted, effective }: Governed,
    headers: HeaderMap,
) -> Response {
    let mut response = match effective.document() {
        None => refused(StatusCode::NOT_FOUND, "no policy of this gateway applies to you", &request_id),
        Some(document) if has(&headers, document) => StatusCode::NOT_MODIFIED.into_response(),
        Some(document) => {
            parts.audit.event("managed.serve", request_id.as_str(), audited(&admitted, &effective, document));
            serve(document)
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("User-Agent"));
    headers.insert(VERSION, HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
    if let Some(etag) = effective.document().and_then(etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}

fn serve(document: &Document) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, document.body.clone()).into_response()
}

/// Whether one of the documents that the client names is this one. `*` is a probe of Claude Desktop's, not a name.
fn has(headers: &HeaderMap, document: &Document) -> bool {
    let named = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|tags| tags.split(',')).any(|tag| {
        let tag = tag.trim();
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        let name = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        name == Some(&document.checksum)
    })
}

fn etag(document: &Document) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{}\"", document.checksum)).ok()
}

fn audited(admitted: &Admitted, effective: &Effective, document: &Document) -> Value {
    let person = admitted.person();
    json!({
        "sub": person.sub,
        "email": person.email,
        "policy": effective.matched,
        "base": effective.base,
        "revision": effective.revision,
        "checksum": document.checksum,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    #[test]
    fn only_the_document_itself_is_known() {
        let document = Document::new(&Map::new());
        let it = format!("\"{}\"", document.checksum);
        let knows = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::IF_NONE_MATCH, HeaderValue::from_str(value).unwrap());
            }
            has(&headers, &document)
        };
        let (weak, list) = (format!("W/{it}"), format!("\"x\" , {it}"));
        for known in [&[it.as_str()][..], &[&weak], &[&list], &["\"x\"", &it], &["*", &it]] {
            assert!(knows(known), "{known:?}");
        }
        let cut = &it[..it.len() - 2];
        for unknown in
            [&[][..], &["*"], &["\"*\""], &["\"x\""], &[&document.checksum], &[cut], &["\"\""], &[""], &[","]]
        {
            assert!(!knows(unknown), "{unknown:?}");
        }
    }
}
