//! The scanner of request bodies and serde_json agree: on what is JSON, on which members it has, and on where they stand.

#![no_main]

use claude_gateway_fuzz::scan::{MAX_DEPTH, ScanError, members};
use libfuzzer_sys::fuzz_target;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

const KEYS: [&str; 2] = ["model", "stream"];

/// A key as bytes: it may hold a lone surrogate, which is JSON's grammar but no text.
#[derive(PartialEq)]
struct Key(Vec<u8>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Key;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a key")
            }

            fn visit_bytes<E>(self, key: &[u8]) -> Result<Key, E> {
                Ok(Key(key.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Every member, as serde_json reads them.
struct Members<'t>(Vec<(Key, &'t RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl<'t> Members<'t> {
    fn of(&self, name: &str) -> Vec<&'t str> {
        self.0.iter().filter(|(key, _)| key.0 == name.as_bytes()).map(|(_, value)| value.get()).collect()
    }
}

fuzz_target!(|bytes: &[u8]| {
    let ours = members(bytes, KEYS);
    let Ok(text) = std::str::from_utf8(bytes) else {
        assert_eq!(ours, Err(ScanError::Invalid));
        return;
    };
    let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
    let is_object = is_json && text.trim_ascii_start().starts_with('{');
    let theirs = || serde_json::from_str::<Members<'_>>(text).expect("an object, by serde_json's own word");
    match ours {
        Ok(spans) => {
            assert!(is_object);
            let theirs = theirs();
            for (key, span) in KEYS.into_iter().zip(spans) {
                assert_eq!(theirs.of(key), Vec::from_iter(span.map(|span| &text[span])));
            }
        }
        Err(ScanError::Invalid) => assert!(!is_json),
        Err(ScanError::NotAnObject) => assert!(is_json && !is_object),
        // These two are said at once, whatever may follow.
        Err(ScanError::Duplicate(key)) => assert!(!is_object || theirs().of(key).len() > 1),
        Err(ScanError::TooDeep) => assert!(text.matches(['{', '[']).count() > MAX_DEPTH),
    }
});
