//! Leaves out of an object what it would say unsaid.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::stream::Notes;

/// `spec` as it has to be written: without every key that reads the same when it is not there. A key with a note stays.
pub(super) fn pruned<Spec: Serialize + DeserializeOwned + PartialEq>(spec: &Spec, at: &str, notes: &Notes) -> Value {
    let mut whole = serde_json::to_value(spec).unwrap_or_default();
    for pointer in pointers(&whole) {
        if notes.has_below(&format!("{at}{pointer}")) {
            continue;
        }
        let mut less = whole.clone();
        let Some((parent, key)) = pointer.rsplit_once('/') else { continue };
        let removed = less
            .pointer_mut(parent)
            .and_then(Value::as_object_mut)
            .and_then(|parent| parent.shift_remove(&key.replace("~1", "/").replace("~0", "~")));
        if removed.is_some() && serde_json::from_value::<Spec>(less.clone()).is_ok_and(|read| read == *spec) {
            whole = less;
        }
    }
    whole
}

/// Of every key, the outer ones first.
fn pointers(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(value, "", &mut found);
    found.sort_by_key(|pointer| pointer.matches('/').count());
    found
}

fn collect(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let below = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                collect(value, &below, found);
                found.push(below);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}
