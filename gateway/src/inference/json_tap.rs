//! Reads the usage of a JSON reply as it goes by: the top-level members `usage` and `input_tokens`, and nothing else.
//!
//! Invariant: nothing of the reply is kept but the part of such a member that came so far, and of that no more than
//! [`LARGEST`]: a client that does not read holds no memory here. Where a chunk is cut changes nothing.

use memchr::memchr2;

use super::{
    scan::wanted,
    usage::{Beside, Usage},
};

/// A longer member is passed over.
const LARGEST: usize = 64 * 1024;
/// With its escapes; no key that matters is longer.
const LONGEST_KEY: usize = 128;

#[derive(Debug, Default)]
pub struct JsonTap {
    pub usage: Usage,
    pub beside: Beside,
    /// Its usage was read.
    pub(super) is_said: bool,
    /// How many bytes went by.
    pub(super) length: usize,
    place: Place,
    /// Brackets that are open.
    depth: usize,
    in_string: bool,
    /// The last byte was a backslash in a string.
    is_escaped: bool,
    /// Of the key or the value that began in an earlier chunk.
    begun: Vec<u8>,
}

/// What of the outermost object comes next, or is under way.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Place {
    #[default]
    Start,
    BeforeKey,
    Key,
    AfterKey(Member),
    Value(Member),
    /// It is over, or was no object.
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Member {
    Usage,
    /// A `count_tokens` reply has its one number at the top.
    InputTokens,
    Other,
}

impl Member {
    fn called(key: &[u8]) -> Self {
        match wanted(key, &["usage", "input_tokens"]) {
            Some(0) => Self::Usage,
            Some(_) => Self::InputTokens,
            None => Self::Other,
        }
    }
}

impl JsonTap {
    pub fn look(&mut self, chunk: &[u8]) {
        self.length += chunk.len();
        // Where in this chunk the key or value under way begins.
        let (mut from, mut at) = (0, 0);
        while at < chunk.len() && self.place != Place::Over {
            at = match self.in_string {
                true => self.pass_string(chunk, at, from),
                false => self.pass_byte(chunk, at, &mut from),
            };
        }
        if self.is_kept() {
            self.keep(&chunk[from.min(chunk.len())..]);
        }
    }

    /// From within a string to after its end, or to the end of the chunk.
    fn pass_string(&mut self, chunk: &[u8], at: usize, from: usize) -> usize {
        if std::mem::take(&mut self.is_escaped) {
            return at + 1;
        }
        let Some(end) = end_of_string(&chunk[at..]).map(|length| at + length) else {
            self.is_escaped = is_escaped(&chunk[at..]);
            return chunk.len();
        };
        self.in_string = false;
        if self.place == Place::Key {
            let key = self.whole(&chunk[from..end - 1]);
            self.place = Place::AfterKey(Member::called(&key));
        }
        end
    }

    fn pass_byte(&mut self, chunk: &[u8], at: usize, from: &mut usize) -> usize {
        let byte = chunk[at];
        match (self.place, byte) {
            (_, b' ' | b'\t' | b'\r' | b'\n') => {}
            (Place::Start, _) => {
                (self.place, self.depth) = if byte == b'{' { (Place::BeforeKey, 1) } else { (Place::Over, 0) };
            }
            (Place::BeforeKey, b'"') => {
                (self.place, self.in_string, *from) = (Place::Key, true, at + 1);
            }
            (Place::AfterKey(member), b':') => (self.place, *from) = (Place::Value(member), at + 1),
            (Place::Value(member), _) => return self.pass_value(member, chunk, at, *from),
            _ => self.place = Place::Over,
        }
        at + 1
    }

    /// To after the end of a value, or to the end of the chunk.
    fn pass_value(&mut self, member: Member, chunk: &[u8], mut at: usize, from: usize) -> usize {
        let parts = |byte: &u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']' | b',');
        while let Some(part) = chunk[at..].iter().position(parts).map(|offset| at + offset) {
            at = part + 1;
            match chunk[part] {
                b'"' => {
                    self.in_string = true;
                    at = self.pass_string(chunk, at, from);
                }
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 1 => self.depth -= 1,
                end @ (b',' | b'}') if self.depth == 1 => {
                    if member != Member::Other {
                        let value = self.whole(&chunk[from..part]);
                        if value.len() <= LARGEST {
                            self.read(member, &value);
                        }
                    }
                    self.place = if end == b',' { Place::BeforeKey } else { Place::Over };
                    return at;
                }
                _ => {}
            }
        }
        chunk.len()
    }

    fn is_kept(&self) -> bool {
        matches!(self.place, Place::Key | Place::Value(Member::Usage | Member::InputTokens))
    }

    fn keep(&mut self, part: &[u8]) {
        let largest = if self.place == Place::Key { LONGEST_KEY } else { LARGEST };
        if self.begun.len() + part.len() <= largest {
            self.begun.extend_from_slice(part);
        } else if self.place == Place::Key {
            // Cut short it is still no key that matters.
            self.begun.extend_from_slice(&part[..LONGEST_KEY - self.begun.len()]);
        } else {
            (self.begun, self.place) = (Vec::new(), Place::Value(Member::Other));
        }
    }

    /// What began earlier together with what is here.
    fn whole<'c>(&mut self, part: &'c [u8]) -> std::borrow::Cow<'c, [u8]> {
        let begun = std::mem::take(&mut self.begun);
        if begun.is_empty() { part.into() } else { [begun.as_slice(), part].concat().into() }
    }

    fn read(&mut self, member: Member, value: &[u8]) {
        match member {
            Member::Usage => {
                if let Ok(usage) = serde_json::from_slice(value) {
                    (self.usage, self.is_said) = (usage, true);
                    self.beside = Beside::in_usage(value);
                }
            }
            Member::InputTokens if !self.is_said => self.usage.input_tokens = serde_json::from_slice(value).ok(),
            Member::InputTokens | Member::Other => {}
        }
    }
}

/// What is left of a string, its quote included; `None`: it goes on after this.
fn end_of_string(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', rest.get(at..)?)? + 1;
        if rest[at - 1] == b'"' {
            return Some(at);
        }
        // Whatever stands behind a backslash.
        at += 1;
    }
}

/// Whether a string that ends with these bytes, all its own, is cut behind a backslash that waits for its other half.
fn is_escaped(rest: &[u8]) -> bool {
    rest.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests;
