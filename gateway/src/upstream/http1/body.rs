//! Where a reply's body ends, and what of the bytes is its content (RFC 9112 sections 6.3 and 7.1).
//!
//! However the bytes are cut, the content is the same: what stands between it is read byte by byte and never kept.

/// How the head says where the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// `content-length`, or no body at all.
    Counted(u64),
    Chunked,
    /// The end of the connection is the end of the body.
    UntilClose,
}

/// What may stand beside the content, in bytes: the extensions of one chunk, or all trailers. Nobody reads them.
const BESIDE: u32 = 16 * 1024;
/// Of a chunk's size.
const DIGITS: u8 = 16;

#[derive(Debug)]
pub struct Body {
    state: State,
    /// How much of [`BESIDE`] is left.
    beside: u32,
    /// More came than the body.
    exceeded: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Counted(u64),
    UntilClose,
    Size {
        size: u64,
        digits: u8,
    },
    /// White space after a size (RFC 9112 section 7.1.1).
    Space {
        size: u64,
    },
    Extension {
        size: u64,
    },
    SizeLf {
        size: u64,
    },
    Chunk(u64),
    ChunkCr,
    ChunkLf,
    /// At the beginning of a line of the trailers; an empty one ends the body.
    Trailer,
    InTrailer,
    TrailerLf,
    LastLf,
    Over,
    Broken,
}

const NEXT_CHUNK: State = State::Size { size: 0, digits: 0 };

impl Body {
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Counted(0) => State::Over,
            Framing::Counted(length) => State::Counted(length),
            Framing::Chunked => NEXT_CHUNK,
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, beside: BESIDE, exceeded: false }
    }

    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Over, and nothing came after it that nobody asked for.
    pub fn is_over_and_done(&self) -> bool {
        self.is_over() && !self.exceeded
    }

    /// There is no reading on: it makes no sense, or the connection ended within it.
    pub fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// Takes what came, and appends what of it is content.
    pub fn decode(&mut self, mut bytes: &[u8], content: &mut Vec<u8>) {
        while let Some((first, rest)) = bytes.split_first() {
            bytes = match self.state {
                State::Counted(left) => {
                    let (rest, left) = copy(bytes, left, content);
                    self.state = if left == 0 { State::Over } else { State::Counted(left) };
                    rest
                }
                State::Chunk(left) => {
                    let (rest, left) = copy(bytes, left, content);
                    self.state = if left == 0 { State::ChunkCr } else { State::Chunk(left) };
                    rest
                }
                State::UntilClose => copy(bytes, u64::MAX, content).0,
                State::Over => {
                    self.exceeded = true;
                    return;
                }
                State::Broken => return,
                state => {
                    self.state = state.and_then(*first);
                    self.weigh();
                    rest
                }
            };
        }
    }

    fn weigh(&mut self) {
        match self.state {
            State::Space { .. } | State::Extension { .. } | State::InTrailer => match self.beside.checked_sub(1) {
                Some(left) => self.beside = left,
                None => self.state = State::Broken,
            },
            State::Chunk(_) => self.beside = BESIDE,
            _ => {}
        }
    }

    /// The connection has ended.
    pub fn end(&mut self) {
        self.state = match self.state {
            State::Over | State::UntilClose => State::Over,
            _ => State::Broken,
        };
    }
}

impl State {
    /// After a byte that is no content. A line ends with CR LF and nothing else: who takes less can be made to see other chunks
    /// than whoever stands in between.
    fn and_then(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < DIGITS => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                Self::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (Self::Size { size, digits: 1.. } | Self::Space { size } | Self::Extension { size }, b'\r') => {
                Self::SizeLf { size }
            }
            (Self::Size { size, digits: 1.. } | Self::Space { size }, b' ' | b'\t') => Self::Space { size },
            (Self::Size { size, digits: 1.. } | Self::Space { size }, b';') => Self::Extension { size },
            (Self::SizeLf { size: 0 }, b'\n') | (Self::TrailerLf, b'\n') => Self::Trailer,
            (Self::SizeLf { size }, b'\n') => Self::Chunk(size),
            (Self::ChunkCr, b'\r') => Self::ChunkLf,
            (Self::ChunkLf, b'\n') => NEXT_CHUNK,
            (Self::Trailer, b'\r') => Self::LastLf,
            (Self::InTrailer, b'\r') => Self::TrailerLf,
            (Self::LastLf, b'\n') => Self::Over,
            (Self::Extension { .. } | Self::Trailer | Self::InTrailer, b'\n') => Self::Broken,
            (Self::Extension { size }, _) => Self::Extension { size },
            (Self::Trailer | Self::InTrailer, _) => Self::InTrailer,
            _ => Self::Broken,
        }
    }
}

/// Copies at most so many; returns the rest, and how many are still to come.
fn copy<'b>(bytes: &'b [u8], left: u64, content: &mut Vec<u8>) -> (&'b [u8], u64) {
    let here = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
    let (here, rest) = bytes.split_at(here);
    content.extend_from_slice(here);
    (rest, left - here.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content and the body, in pieces of that size.
    fn read(framing: Framing, bytes: &[u8], size: usize) -> (String, Body) {
        let (mut body, mut content) = (Body::new(framing), Vec::new());
        bytes.chunks(size).for_each(|piece| body.decode(piece, &mut content));
        (String::from_utf8(content).unwrap(), body)
    }

    #[test]
    fn chunks_are_joined_wherever_they_are_cut() {
        let bytes = b"5\r\nhello\r\n1; name=\"v\"\r\n \r\n00A \r\n 01234567\n\r\n0\r\nx-trailer: v\r\ny: w\r\n\r\n";
        for size in 1..=bytes.len() {
            let (content, body) = read(Framing::Chunked, bytes, size);
            assert_eq!(content, "hello  01234567\n");
            assert!(body.is_over_and_done(), "{size}");
        }
    }

    #[test]
    fn what_is_no_chunk_breaks_the_body_and_what_came_before_it_stands() {
        let long = format!("1;{}\r\nx\r\n", "e".repeat(BESIDE as usize));
        let trailers = "0\r\n".to_owned() + &"a: b\r\n".repeat(BESIDE as usize / 2);
        let cases = [
            "\r\n",
            ";x\r\n",
            "g\r\n",
            "-1\r\n",
            "+1\r\nx\r\n",
            "0x1\r\nx\r\n",
            "1\nx\r\n",
            "1\rx",
            "1;x\nx\r\n",
            "1 2\r\nx\r\n",
            "1\r\nxy\r\n",
            "1\r\nx\n",
            "1\r\nx\r1",
            "0\r\n\n",
            "0\r\na: b\n\r\n",
            "0\r\na: b\r\r\n",
            "00000000000000001\r\nx\r\n",
            "1 \nx\r\n",
            &long,
            &trailers,
        ];
        for case in cases {
            let bytes = ["2\r\nok\r\n", case].concat();
            for size in [1, bytes.len()] {
                let (content, body) = read(Framing::Chunked, bytes.as_bytes(), size);
                assert!(content.starts_with("ok") && body.is_broken(), "{:.20}: {content}", case);
            }
        }
    }

    #[test]
    fn many_chunks_may_each_have_an_extension() {
        let bytes = "1;signature=0123456789abcdef\r\nx\r\n".repeat(2000) + "0\r\n\r\n";
        let (content, body) = read(Framing::Chunked, bytes.as_bytes(), 1000);
        assert!(content.len() == 2000 && body.is_over_and_done());
    }

    #[test]
    fn a_largest_chunk_is_not_waited_for_less() {
        let (content, mut body) = read(Framing::Chunked, b"ffffffffffffffff\r\nabc", 30);
        assert_eq!((content.as_str(), body.is_over(), body.is_broken()), ("abc", false, false));
        body.end();
        assert!(body.is_broken());
    }

    #[test]
    fn a_counted_body_ends_with_its_last_byte_and_an_uncounted_one_with_the_connection() {
        let (content, mut body) = read(Framing::Counted(5), b"1234", 3);
        assert!(content == "1234" && !body.is_over());
        body.decode(b"5", &mut Vec::new());
        assert!(body.is_over_and_done());
        body.decode(b"6", &mut Vec::new());
        assert!(body.is_over() && !body.is_over_and_done(), "nobody asked for that");
        assert!(Body::new(Framing::Counted(0)).is_over_and_done());

        let (_, mut body) = read(Framing::Counted(5), b"1234", 4);
        body.end();
        assert!(body.is_broken());
        let (content, mut body) = read(Framing::UntilClose, b"1234", 4);
        assert!(content == "1234" && !body.is_over());
        body.end();
        assert!(body.is_over());
    }
}
