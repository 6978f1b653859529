//! A settings document as a client gets it: one reply for everybody whom the same policies match, and its checksum.
//!
//! Invariant: the checksum is the one that a client works out from the settings it was given: SHA-256 over what
//! `JSON.stringify` makes of them with the keys of every mapping sorted (`protocol.md`, section 8).

use std::{cmp::Ordering, iter::repeat_n, sync::OnceLock};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

/// The reply to `GET /managed/settings`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// `sha256:` and 64 digits.
    pub checksum: String,
    pub body: Bytes,
}

/// A document that is worked out when the first client asks, and kept. It follows from the settings beside it, so it has no
/// part in comparing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Delivery(OnceLock<Document>);

#[derive(Serialize)]
struct Reply<'a> {
    uuid: &'a str,
    checksum: &'a str,
    settings: &'a Map<String, Value>,
}

impl Document {
    pub fn new(settings: &Map<String, Value>) -> Self {
        let checksum = checksum(settings);
        let reply = Reply { uuid: &checksum, checksum: &checksum, settings };
        let body = serde_json::to_vec(&reply).unwrap_or_default().into();
        Self { checksum, body }
    }
}

impl Delivery {
    pub(super) fn of(&self, settings: &Map<String, Value>) -> &Document {
        self.0.get_or_init(|| Document::new(settings))
    }
}

impl PartialEq for Delivery {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

fn checksum(settings: &Map<String, Value>) -> String {
    let mut text = String::with_capacity(1024);
    write_mapping(settings, &mut text);
    let hash = digest(&SHA256, text.as_bytes());
    let mut checksum = String::with_capacity(7 + 64);
    checksum.push_str("sha256:");
    for byte in hash.as_ref() {
        for half in [byte >> 4, byte & 15] {
            checksum.extend(char::from_digit(half.into(), 16));
        }
    }
    checksum
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => write_number(number.as_f64().unwrap_or_default(), text),
        Value::String(content) => write_text(content, text),
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(entries) => write_mapping(entries, text),
    }
}

fn write_mapping(entries: &Map<String, Value>, text: &mut String) {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by(|(one, _), (other, _)| order(one, other));
    text.push('{');
    for (at, (key, value)) in entries.into_iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        write_text(key, text);
        text.push(':');
        write(value, text);
    }
    text.push('}');
}

/// JavaScript sorts by UTF-16 units, and an object gives the keys that look like an array's index first, by number.
fn order(one: &str, other: &str) -> Ordering {
    match (array_index(one), array_index(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => one.encode_utf16().cmp(other.encode_utf16()),
    }
}

fn array_index(key: &str) -> Option<u32> {
    let index: u32 = key.parse().ok().filter(|index| *index < u32::MAX)?;
    (index.to_string() == key).then_some(index)
}

/// Escaped where JSON must escape, and nowhere else; both languages agree on that.
fn write_text(content: &str, text: &mut String) {
    text.push_str(&serde_json::to_string(content).unwrap_or_default());
}

/// As JavaScript writes a number: the fewest digits that tell it apart, in plain form from 1e-6 to 1e21. Every number is a
/// double there, so a long integer is rounded, `1.0` is `1` and `-0.0` is `0`.
fn write_number(number: f64, text: &mut String) {
    let shortest = format!("{number:e}");
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |mantissa| ("-", mantissa));
    let digits = mantissa.replace('.', "");
    if digits == "0" {
        return text.push('0');
    }
    text.push_str(sign);
    // The point stands after so many digits.
    let point = exponent.parse::<i32>().unwrap_or_default() + 1;
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let (at, ahead) = (usize::try_from(point).unwrap_or_default(), usize::try_from(-point).unwrap_or_default());
    match point {
        1..=21 if count <= point => {
            text.push_str(&digits);
            text.extend(repeat_n('0', at - digits.len()));
        }
        1..=21 => text.extend([&digits[..at], ".", &digits[at..]]),
        -5..=0 => {
            text.push_str("0.");
            text.extend(repeat_n('0', ahead));
            text.push_str(&digits);
        }
        _ => {
            text.push_str(&digits[..1]);
            if count > 1 {
                text.extend([".", &digits[1..]]);
            }
            let exponent = point - 1;
            text.push_str(&format!("e{}{}", if exponent < 0 { '-' } else { '+' }, exponent.abs()));
        }
    }
}

#[cfg(test)]
mod tests;
