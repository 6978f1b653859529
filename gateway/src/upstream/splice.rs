//! A request body that is the client's own bytes with at most one span replaced. Nothing is rebuilt or copied.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, atomic::AtomicBool},
};

use bytes::Bytes;

#[derive(Debug, Default)]
pub struct Spliced {
    parts: VecDeque<Bytes>,
    /// Becomes true when the last byte was sent.
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

    /// In bytes.
    pub fn length(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    pub fn into_parts(self) -> (VecDeque<Bytes>, Option<Arc<AtomicBool>>) {
        (self.parts, self.is_sent)
    }

    fn of<const N: usize>(parts: [Bytes; N]) -> Self {
        Self { parts: parts.into_iter().filter(|part| !part.is_empty()).collect(), is_sent: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_span_changes_and_the_length_is_known() {
        let body =
            Spliced::replacing(&Bytes::from_static(br#"{"model":"a"}"#), 9..12, Bytes::from_static(br#""long""#));
        assert_eq!(body.length(), 16);
        assert_eq!(body.parts.iter().flatten().copied().collect::<Vec<_>>(), br#"{"model":"long"}"#);
    }
}
