//! Chunks that belong together, joined into one.

use bytes::{Bytes, BytesMut};

/// A lone chunk passes without a copy; a second one starts a joined buffer.
#[derive(Default)]
pub(super) struct Joined {
    first: Option<Bytes>,
    rest: Option<BytesMut>,
    expected: usize,
}

impl Joined {
    /// For so many bytes in all, as far as one knows.
    pub(super) fn expecting(expected: usize) -> Self {
        Self { expected, ..Self::default() }
    }

    pub(super) fn push(&mut self, chunk: Bytes) {
        if let Some(rest) = &mut self.rest {
            rest.extend_from_slice(&chunk);
        } else if let Some(first) = self.first.take() {
            let rest = self.rest.insert(BytesMut::with_capacity((first.len() + chunk.len()).max(self.expected)));
            rest.extend_from_slice(&first);
            rest.extend_from_slice(&chunk);
        } else {
            self.first = Some(chunk);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rest.as_ref().map_or(0, BytesMut::len) + self.first.as_ref().map_or(0, Bytes::len)
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.rest.map(BytesMut::freeze).or(self.first).unwrap_or_default()
    }
}

/// Without a copy where one of them is empty.
pub(super) fn join(first: Bytes, second: Bytes) -> Bytes {
    match (first.is_empty(), second.is_empty()) {
        (_, true) => first,
        (true, false) => second,
        (false, false) => [first, second].concat().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_that_come_together_are_one_write_and_a_lone_one_is_not_copied() {
        let lone = Bytes::from_static(b"abc");
        let mut joined = Joined::default();
        joined.push(lone.clone());
        assert_eq!(joined.into_bytes().as_ptr(), lone.as_ptr());
        let mut joined = Joined::default();
        ["a", "bc", "d"].iter().for_each(|part| joined.push(Bytes::copy_from_slice(part.as_bytes())));
        assert_eq!(joined.len(), 4);
        assert_eq!(joined.into_bytes(), "abcd");
    }
}
