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

/// The spans of the values of `keys`, in the order of `keys`.
pub fn members<const N: usize>(text: &[u8], keys: [&'static str; N]) -> Result<[Option<Range<usize>>; N], ScanError> {
    if simdutf8::basic::from_utf8(text).is_err() {
        return Err(ScanError::Invalid);
    }
    let mut cursor = Cursor { text, at: 0 };
    cursor.white_space();
    if cursor.peek() != Some(b'{') {
        cursor.value()?;
        cursor.end()?;
        return Err(ScanError::NotAnObject);
    }
    let mut found = [const { None }; N];
    cursor.object(|key, value| {
        let Some(n) = keys.iter().position(|wanted| is_key(key, wanted)) else { return Ok(()) };
        match found[n].replace(value) {
            None => Ok(()),
            Some(_) => Err(ScanError::Duplicate(keys[n])),
        }
    })?;
    cursor.end()?;
    Ok(found)
}

/// A key may be written with escapes (`"mod\u0065l"`); it means the same.
fn is_key(raw: &[u8], wanted: &str) -> bool {
    if !raw.contains(&b'\\') {
        return raw == wanted.as_bytes();
    }
    let quoted = [b"\"", raw, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).is_ok_and(|key| key == wanted)
}

struct Cursor<'t> {
    text: &'t [u8],
    at: usize,
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

/// Where the next quote, backslash or control character stands at or after `from`. Blocks without one are passed over with
/// byte arithmetic that the compiler turns into vector instructions: prompts are long strings.
fn special(text: &[u8], from: usize) -> usize {
    const BLOCK: usize = 32;
    let rest = &text[from.min(text.len())..];
    let (blocks, _) = rest.as_chunks::<BLOCK>();
    let dull = blocks.iter().take_while(|block| {
        let specials = |byte: &u8| u8::from(*byte == b'"') | u8::from(*byte == b'\\') | u8::from(*byte < 0x20);
        block.iter().fold(0, |any, byte| any | specials(byte)) == 0
    });
    let passed = dull.count() * BLOCK;
    let special = rest[passed..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    special.map_or(text.len(), |offset| from + passed + offset)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn model(text: &str) -> Result<Option<&str>, ScanError> {
        members(text.as_bytes(), ["model"]).map(|[span]| span.map(|span| &text[span]))
    }

    #[test]
    fn a_member_is_found_wherever_it_stands() {
        assert_eq!(model(r#"{"model":"a"}"#), Ok(Some(r#""a""#)));
        assert_eq!(model(r#" { "x" : [ {"model":1} , [] ] , "model" : "a" } "#), Ok(Some(r#""a""#)));
        assert_eq!(model(r#"{"mod\u0065l":"a"}"#), Ok(Some(r#""a""#)));
        assert_eq!(model(r#"{"x":{"model":"a"}}"#), Ok(None));
        assert_eq!(model("{}"), Ok(None));
    }

    #[test]
    fn a_repeated_key_that_we_act_on_is_refused_and_another_passes() {
        assert_eq!(model(r#"{"model":"a","model":"b"}"#), Err(ScanError::Duplicate("model")));
        assert_eq!(model(r#"{"model":"a","mod\u0065l":"b"}"#), Err(ScanError::Duplicate("model")));
        assert_eq!(model(r#"{"x":1,"x":2,"model":"a"}"#), Ok(Some(r#""a""#)));
    }

    #[test]
    fn what_is_json_but_no_object_is_told_apart_from_what_is_not_json() {
        for text in ["[]", "1", "null", r#""model""#, "[1,{\"a\":[]}]"] {
            assert_eq!(model(text), Err(ScanError::NotAnObject), "{text}");
        }
        let bad = [
            "",
            "{",
            "}",
            "{]",
            "[",
            "nul",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":+1}",
            "{} x",
            "{\"a\":\"\u{1}\"}",
            "{\"a\":\"\0\"}",
            r#"{"a":"\x"}"#,
            r#"{"a":"\u12g4"}"#,
            r#"{"a":"\u12"#,
            "\u{feff}{}",
            "{'a':1}",
        ];
        for text in bad {
            assert_eq!(model(text), Err(ScanError::Invalid), "{text}");
        }
        assert_eq!(members(b"{\"a\":\"\xff\"}", ["model"]), Err(ScanError::Invalid));
    }

    #[test]
    fn depth_is_bounded_without_recursion() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(model(&nested(MAX_DEPTH - 1)), Ok(None));
        assert_eq!(model(&nested(10_000)), Err(ScanError::TooDeep));
        assert_eq!(model(&nested(100_000)), Err(ScanError::TooDeep));
        assert_eq!(model(&"[".repeat(100_000)), Err(ScanError::TooDeep));
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<f64>().prop_map(|n| serde_json::json!(n)),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::hash_map(any::<String>(), inner, 0..8)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_verdict_is_an_independent_parsers(text in ".{0,64}") {
            let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(members(text.as_bytes(), ["model"]).is_ok(), theirs && text.trim_start().starts_with('{'));
        }

        #[test]
        fn spans_hold_what_an_independent_parser_reads(value in json(), model in any::<String>(), pretty in any::<bool>()) {
            let object = serde_json::json!({"before": value, "model": model, "after": [value]});
            let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap();
            let [span] = members(text.as_bytes(), ["model"]).unwrap();
            prop_assert_eq!(serde_json::from_str::<String>(&text[span.unwrap()]).unwrap(), model);
        }

        #[test]
        fn any_bytes_get_a_verdict(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = members(&bytes, ["model", "stream"]);
        }
    }
}
