//! A request body that is the client's own bytes with at most one span replaced. Nothing is rebuilt or copied.

use std::{
    collections::VecDeque,
    convert::Infallible,
    ops::Range,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

#[derive(Debug, Default)]
pub struct Spliced {
    parts: VecDeque<Bytes>,
    /// Becomes true when the last part was taken.
    is_sent: Option<Arc<AtomicBool>>,
}

impl Spliced {
    pub fn whole(bytes: Bytes) -> Self {
        Self::of([bytes])
    }

    pub fn replacing(bytes: &Bytes, span: Range<usize>, with: Bytes) -> Self {
        Self::of([bytes.slice(..span.start), with, bytes.slice(span.end..)])
    }

    pub fn saying_when_sent(self, is_sent: Arc<AtomicBool>) -> Self {
        Self { is_sent: Some(is_sent), ..self }
    }

    fn of<const N: usize>(parts: [Bytes; N]) -> Self {
        Self { parts: parts.into_iter().filter(|part| !part.is_empty()).collect(), is_sent: None }
    }
}

impl Body for Spliced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = self.parts.pop_front();
        if let Some(is_sent) = self.is_sent.as_ref().filter(|_| self.parts.is_empty()) {
            is_sent.store(true, Ordering::Relaxed);
        }
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.parts.iter().map(|part| part.len() as u64).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_span_changes_and_the_length_is_known() {
        let body =
            Spliced::replacing(&Bytes::from_static(br#"{"model":"a"}"#), 9..12, Bytes::from_static(br#""long""#));
        assert_eq!(body.size_hint().exact(), Some(16));
        assert_eq!(body.parts.iter().flatten().copied().collect::<Vec<_>>(), br#"{"model":"long"}"#);
    }
}
