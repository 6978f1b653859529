//! A reply's body, whichever room made it, and the mark that it is still due.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use http_body::{Body, Frame, SizeHint};

use super::{request::RequestId, watch::Busy};
use crate::inference::relay::Relay;

/// As the Messages API calls it. Named once: a name that is given as text is copied for each reply.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub enum Content {
    Whole(Option<Bytes>),
    Relay(Box<Relay>),
    Route(axum::body::Body),
}

/// What hyper sends; dropped when the reply has ended, however it ended.
pub struct Reply {
    content: Content,
    busy: Busy,
}

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Reply {
    /// Adds what every reply carries.
    pub fn to(response: Response<Content>, request_id: &RequestId, busy: Busy) -> Response<Self> {
        let mut response = response.map(|content| Self { content, busy });
        if let Ok(id) = HeaderValue::from_str(request_id.as_str()) {
            let headers = response.headers_mut();
            headers.insert(REQUEST_ID, id.clone());
            headers.insert(X_REQUEST_ID, id);
        }
        secure(response.headers_mut());
        response
    }
}

/// Set where a room has not said something stricter.
fn secure(headers: &mut HeaderMap) {
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
}

impl Body for Reply {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match &mut self.content {
            Content::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Relay(relay) => Pin::new(relay.as_mut()).poll_frame(cx).map_err(Into::into),
            Content::Route(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        };
        self.busy.said(match &frame {
            Poll::Ready(Some(Ok(frame))) => Some(frame.data_ref().map_or(0, Bytes::len)),
            _ => None,
        });
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Content::Relay(relay) => relay.is_end_stream(),
            Content::Route(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Content::Relay(relay) => relay.size_hint(),
            Content::Route(body) => body.size_hint(),
        }
    }
}
