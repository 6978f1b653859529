//! Whether an object is as it shall be, without asking the API server to try: a write that changes nothing is a write too.
//!
//! What counts is what we say: fields that others add stay theirs. What we said last is kept in an annotation as a hash, so
//! that a field which we do not say any more is noticed. Where the server writes a value its own way (`0.5` as `500m`), what
//! it made of ours is remembered.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
};

use aws_lc_rs::digest;
use kube::core::DynamicObject;
use serde_json::{Map, Value};

const SAID: &str = "claude-gateway.dev/applied";

/// Puts the hash of all that we say into the object itself.
pub fn seal(object: &DynamicObject) -> Result<DynamicObject, serde_json::Error> {
    let said = digest::digest(&digest::SHA256, &serde_json::to_vec(object)?);
    let hash = said.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let mut object = object.clone();
    object.metadata.annotations.get_or_insert_default().insert(SAID.to_owned(), hash);
    Ok(object)
}

/// What the server made of what we said, by the object's UID.
#[derive(Debug, Default)]
pub struct Memory(Mutex<HashMap<String, (u64, u64)>>);

impl Memory {
    pub fn in_step(&self, live: &DynamicObject, desired: &DynamicObject) -> Result<bool, serde_json::Error> {
        let (found, said) = (projected(live, desired)?, serde_json::to_value(desired)?);
        if found == said {
            return Ok(true);
        }
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(uid(live)).copied();
        Ok(known == Some((hash(&said), hash(&found))))
    }

    /// `live` is the server's answer to `desired`.
    pub fn learn(&self, live: &DynamicObject, desired: &DynamicObject) -> Result<(), serde_json::Error> {
        let (found, said) = (projected(live, desired)?, serde_json::to_value(desired)?);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match found == said {
            true => known.remove(uid(live)),
            false => known.insert(uid(live).to_owned(), (hash(&said), hash(&found))),
        };
        Ok(())
    }

    pub fn forget(&self, live: &DynamicObject) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid(live));
    }
}

fn uid(object: &DynamicObject) -> &str {
    object.metadata.uid.as_deref().unwrap_or_default()
}

fn projected(live: &DynamicObject, desired: &DynamicObject) -> Result<Value, serde_json::Error> {
    let mut live = serde_json::to_value(live)?;
    let desired = serde_json::to_value(desired)?;
    // The kind is what was asked for, and lists leave it out.
    for key in ["apiVersion", "kind"] {
        live[key] = desired[key].clone();
    }
    Ok(projection(&live, &desired))
}

/// What `live` holds in the places that `desired` names.
fn projection(live: &Value, desired: &Value) -> Value {
    match (live, desired) {
        (Value::Object(live), Value::Object(desired)) => {
            let part =
                |(key, desired): (&String, &Value)| live.get(key).map(|live| (key.clone(), projection(live, desired)));
            Value::Object(desired.iter().filter_map(part).collect::<Map<_, _>>())
        }
        (Value::Array(live), Value::Array(desired)) if live.len() == desired.len() => {
            live.iter().zip(desired).map(|(live, desired)| projection(live, desired)).collect()
        }
        (live, _) => live.clone(),
    }
}

fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(spec: Value) -> DynamicObject {
        let value = json!({ "metadata": { "name": "a", "uid": "u", "annotations": {} }, "spec": spec });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn c2_what_others_add_is_theirs_and_what_they_change_of_ours_is_not() {
        let memory = Memory::default();
        let desired = object(json!({ "a": 1, "list": [{ "b": 2 }] }));
        let same = json!({ "a": 1, "list": [{ "b": 2, "default": 3 }], "more": 4 });
        assert!(memory.in_step(&object(same), &desired).unwrap());
        for other in [json!({ "a": 2, "list": [{ "b": 2 }] }), json!({ "a": 1 }), json!({ "a": 1, "list": [] })] {
            assert!(!memory.in_step(&object(other), &desired).unwrap());
        }
    }

    #[test]
    fn c1_a_value_that_the_server_writes_its_own_way_is_written_once() {
        let memory = Memory::default();
        let (desired, answer) = (object(json!({ "cpu": "0.5" })), object(json!({ "cpu": "500m" })));
        assert!(!memory.in_step(&answer, &desired).unwrap());
        memory.learn(&answer, &desired).unwrap();
        assert!(memory.in_step(&answer, &desired).unwrap());
        assert!(!memory.in_step(&object(json!({ "cpu": "600m" })), &desired).unwrap(), "somebody changed it");
        assert!(!memory.in_step(&answer, &object(json!({ "cpu": "0.6" }))).unwrap(), "we say something else");
    }

    #[test]
    fn c3_a_field_that_is_not_said_any_more_is_noticed() {
        let memory = Memory::default();
        let before = seal(&object(json!({ "a": 1, "b": 2 }))).unwrap();
        let now = seal(&object(json!({ "a": 1 }))).unwrap();
        assert!(!memory.in_step(&before, &now).unwrap());
        assert!(memory.in_step(&now, &now).unwrap());
    }
}
