//! The part of an event stream that must wait: events are passed on whole, so that a stream that breaks never ends within one.

use bytes::{Bytes, BytesMut};

use super::{joined::join, tap::last_boundary};

/// A frame larger than this is passed on in pieces.
const LARGEST_HELD: usize = 256 * 1024;

/// The beginning of an event whose end has not come.
#[derive(Default)]
pub(super) struct Held {
    pub(super) bytes: BytesMut,
    /// The event was too large to be held and is being passed on in pieces.
    pub(super) torn: bool,
}

impl Held {
    /// What is whole of the held bytes and `chunk` together; the rest is held.
    pub(super) fn whole_events(&mut self, chunk: Bytes) -> Bytes {
        let boundary = last_boundary(&chunk);
        if self.torn {
            // A newline alone may stand anywhere in the event.
            self.torn = boundary != Some(chunk.len()) || chunk.len() < 2;
            return chunk;
        }
        match boundary {
            // A newline at the beginning may end a line that is held, and be no blank one.
            Some(end) if self.bytes.is_empty() || end > 1 => {
                let whole = join(self.bytes.split().freeze(), chunk.slice(..end));
                self.bytes.extend_from_slice(&chunk[end..]);
                whole
            }
            _ => {
                self.bytes.extend_from_slice(&chunk);
                self.release()
            }
        }
    }

    /// What may go of the held bytes after all.
    fn release(&mut self) -> Bytes {
        match last_boundary(&self.bytes) {
            Some(end) => self.bytes.split_to(end).freeze(),
            // A comment keeps a connection alive, so it must not wait for an event.
            None if only_comments(&self.bytes) => self.bytes.split().freeze(),
            None if self.bytes.len() > LARGEST_HELD => {
                self.torn = true;
                self.bytes.split().freeze()
            }
            None => Bytes::new(),
        }
    }
}

fn only_comments(lines: &[u8]) -> bool {
    lines.ends_with(b"\n") && lines.split(|byte| *byte == b'\n').all(|line| line.is_empty() || line.starts_with(b":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(pieces: &[&str]) -> (Vec<String>, Held) {
        let mut held = Held::default();
        let passed = pieces
            .iter()
            .map(|piece| held.whole_events(Bytes::copy_from_slice(piece.as_bytes())))
            .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
            .collect();
        (passed, held)
    }

    #[test]
    fn whole_events_pass_at_once_and_half_ones_wait() {
        let (passed, held) = through(&["data: a\n\n", "data: b\n", "\ndata: c", "\n\ndata: d\n\nda"]);
        assert_eq!(passed, ["data: a\n\n", "", "data: b\n\n", "data: c\n\ndata: d\n\n"]);
        assert_eq!(held.bytes, "da");
    }

    #[test]
    fn what_is_whole_does_not_depend_on_where_the_stream_is_cut() {
        let stream = "data: a\n\ndata: b\ndata: c\n\nevent: d\r\ndata: d\r\n\r\ndata: e\n\n";
        for size in 1..stream.len() {
            let pieces: Vec<_> =
                stream.as_bytes().chunks(size).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
            let (passed, held) = through(&pieces);
            assert_eq!(passed.concat(), stream, "pieces of {size}");
            assert!(held.bytes.is_empty() && !held.torn);
            let ends = |part: &&String| !part.is_empty() && !part.ends_with("\n\n") && !part.ends_with("\r\n\r\n");
            assert_eq!(passed.iter().find(ends), None, "pieces of {size}");
        }
    }

    #[test]
    fn a_comment_without_a_blank_line_passes_at_once() {
        let (passed, held) = through(&[": keep-alive\n", ": again\n", ": ", "half\ndata: a\n", "\n"]);
        assert_eq!(passed, [": keep-alive\n", ": again\n", "", "", ": half\ndata: a\n\n"]);
        assert!(held.bytes.is_empty());
    }

    #[test]
    fn a_frame_too_large_to_hold_is_passed_on_in_pieces_until_it_ends() {
        let huge = "x".repeat(LARGEST_HELD + 1);
        let (passed, held) = through(&["data: ", &huge, "\n", "y\n\n", "data: b"]);
        assert_eq!(passed[1].len(), LARGEST_HELD + 1 + 6);
        assert_eq!(passed[2..], ["\n", "y\n\n", ""]);
        assert!(!held.torn && held.bytes == "data: b");
    }
}
