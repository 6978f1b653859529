//! One pass over a JSON object: is it JSON at all, and where do the top-level members that we act on stand?
//!
//! Nothing is built: strings are skipped, numbers checked, and only the spans of interesting members are kept. The grammar is
//! RFC 8259's, so what passes here is what every conforming parser reads. An interesting key that stands twice is refused:
//! parsers differ on which one counts, and a decision must not depend on that.

use std::ops::Range;

/// Deeper than any tool schema; a bound, so that no parser behind us is asked to recurse without end.
pub const MAX_DEPTH: usize = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    #[error("invalid JSON")]
    Invalid,
    #[error("request body must be a JSON object")]
    NotAnObject,
    #[error("the request body holds the key \"{0}\" twice")]
    Duplicate(&'static str),
    #[error("the request body is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

pub type Spans<const N: usize> = [Option<Range<usize>>; N];

/// The spans of the values of `keys`, in the order of `keys`.
pub fn members<const N: usize>(text: &[u8], keys: [&'static str; N]) -> Result<Spans<N>, ScanError> {
    measured(text, keys).map(|(spans, _)| spans)
}

/// The same, and how many bytes of the text are white space that means nothing.
pub fn measured<const N: usize>(text: &[u8], keys: [&'static str; N]) -> Result<(Spans<N>, usize), ScanError> {
    if simdutf8::basic::from_utf8(text).is_err() {
        return Err(ScanError::Invalid);
    }
    let mut cursor = Cursor { text, at: 0, white_space: 0 };
    cursor.white_space();
    if cursor.peek() != Some(b'{') {
        cursor.value()?;
        cursor.end()?;
        return Err(ScanError::NotAnObject);
    }
    let mut found = [const { None }; N];
    cursor.object(|key, value| {
        let Some(n) = wanted(key, &keys) else { return Ok(()) };
        match found[n].replace(value) {
            None => Ok(()),
            Some(_) => Err(ScanError::Duplicate(keys[n])),
        }
    })?;
    cursor.end()?;
    Ok((found, cursor.white_space))
}

/// Which of `keys` this is. A key may be written with escapes (`"mod\u0065l"`); it means the same.
pub(super) fn wanted(raw: &[u8], keys: &[&str]) -> Option<usize> {
    if !raw.contains(&b'\\') {
        return keys.iter().position(|wanted| raw == wanted.as_bytes());
    }
    let quoted = [b"\"", raw, b"\""].concat();
    let key: String = serde_json::from_slice(&quoted).ok()?;
    keys.iter().position(|wanted| key == *wanted)
}

struct Cursor<'t> {
    text: &'t [u8],
    at: usize,
    white_space: usize,
}

/// What an open bracket is waiting for is decided by its kind alone, so a bit each would do; a byte reads better.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    Object,
    Array,
}

impl<'t> Cursor<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn white_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
            self.white_space += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Result<(), ScanError> {
        if self.peek() != Some(byte) {
            return Err(ScanError::Invalid);
        }
        self.at += 1;
        Ok(())
    }

    fn end(&mut self) -> Result<(), ScanError> {
        self.white_space();
        if self.at == self.text.len() { Ok(()) } else { Err(ScanError::Invalid) }
    }

    /// The outermost object, each member shown to `member`.
    fn object(
        &mut self,
        mut member: impl FnMut(&'t [u8], Range<usize>) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        self.take(b'{')?;
        self.white_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.key()?;
            self.white_space();
            let start = self.at;
            self.value()?;
            member(key, start..self.at)?;
            self.white_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(ScanError::Invalid),
            }
        }
    }

    /// A member's key and its colon; what stands between the quotes is returned.
    fn key(&mut self) -> Result<&'t [u8], ScanError> {
        self.white_space();
        let start = self.at + 1;
        self.string()?;
        let key = &self.text[start..self.at - 1];
        self.white_space();
        self.take(b':')?;
        Ok(key)
    }

    /// Skips one value of any kind, without recursion.
    fn value(&mut self) -> Result<(), ScanError> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            self.white_space();
            match self.peek().ok_or(ScanError::Invalid)? {
                b'{' => {
                    self.at += 1;
                    self.white_space();
                    if self.peek() == Some(b'}') {
                        self.at += 1;
                    } else {
                        push(&mut open, Open::Object)?;
                        self.key()?;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    self.white_space();
                    if self.peek() == Some(b']') {
                        self.at += 1;
                    } else {
                        push(&mut open, Open::Array)?;
                        continue;
                    }
                }
                b'"' => self.string()?,
                b't' => self.literal(b"true")?,
                b'f' => self.literal(b"false")?,
                b'n' => self.literal(b"null")?,
                _ => self.number()?,
            }
            if self.close(&mut open)? {
                return Ok(());
            }
        }
    }

    /// After a value: closes what ends here. True when nothing is open any more, false when another value follows.
    fn close(&mut self, open: &mut Vec<Open>) -> Result<bool, ScanError> {
        loop {
            let Some(innermost) = open.last().copied() else { return Ok(true) };
            self.white_space();
            match (self.peek(), innermost) {
                (Some(b','), Open::Array) => {
                    self.at += 1;
                    return Ok(false);
                }
                (Some(b','), Open::Object) => {
                    self.at += 1;
                    self.key()?;
                    return Ok(false);
                }
                (Some(b']'), Open::Array) | (Some(b'}'), Open::Object) => {
                    self.at += 1;
                    open.pop();
                }
                _ => return Err(ScanError::Invalid),
            }
        }
    }

    fn string(&mut self) -> Result<(), ScanError> {
        self.take(b'"')?;
        loop {
            self.at = special(self.text, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                _ => return Err(ScanError::Invalid),
            }
        }
    }

    fn escape(&mut self) -> Result<(), ScanError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let digits = self.text.get(self.at + 1..self.at + 5).ok_or(ScanError::Invalid)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(ScanError::Invalid);
                }
                self.at += 5;
            }
            _ => return Err(ScanError::Invalid),
        }
        Ok(())
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), ScanError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(ScanError::Invalid);
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), ScanError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(ScanError::Invalid) }
    }
}

fn push(open: &mut Vec<Open>, kind: Open) -> Result<(), ScanError> {
    // The outermost object is not on this stack.
    if open.len() + 1 >= MAX_DEPTH {
        return Err(ScanError::TooDeep);
    }
    open.push(kind);
    Ok(())
}

/// Where the next quote, backslash or control character stands at or after `from`. Long strings are passed over in blocks that
/// the compiler turns into vector instructions, and short ones, of which there are more, eight bytes at a time.
fn special(text: &[u8], from: usize) -> usize {
    const BLOCK: usize = 32;
    let rest = &text[from.min(text.len())..];
    let (blocks, _) = rest.as_chunks::<BLOCK>();
    let dull = blocks.iter().take_while(|block| {
        let specials = |byte: &u8| u8::from(*byte == b'"') | u8::from(*byte == b'\\') | u8::from(*byte < 0x20);
        block.iter().fold(0, |any, byte| any | specials(byte)) == 0
    });
    let passed = dull.count() * BLOCK;
    let (words, tail) = rest[passed..].as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        let specials = specials_of(u64::from_le_bytes(*word));
        if specials != 0 {
            return from + passed + 8 * n + (specials.trailing_zeros() / 8) as usize;
        }
    }
    let special = tail.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    special.map_or(text.len(), |offset| text.len() - tail.len() + offset)
}

/// The highest bit of the first byte that is a quote, a backslash or a control character, if there is one; what stands in the
/// bits above it means nothing, because a subtraction may have borrowed.
fn specials_of(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGHEST: u64 = ONES << 7;
    let equal = |byte: u8| {
        let difference = word ^ (ONES * u64::from(byte));
        difference.wrapping_sub(ONES) & !difference
    };
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (equal(b'"') | equal(b'\\') | control) & HIGHEST
}

#[cfg(test)]
mod tests;
