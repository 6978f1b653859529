//! A `UserPolicy` as it was heard of, read and judged once for each generation.

use std::sync::Arc;

use crds::{PAUSED, UserPolicy, UserPolicyStatus};
use jiff::Timestamp;
use kube::core::{DynamicObject, ObjectMeta};
use serde_json::Value;

use super::document::{Judged, judged};
use crate::store::GatewayName;

pub struct Candidate {
    pub metadata: ObjectMeta,
    pub gateway: GatewayName,
    pub reading: Reading,
    /// As the API server has it, or as it was written last.
    pub status: UserPolicyStatus,
}

#[derive(Clone)]
pub enum Reading {
    Policy {
        policy: Arc<UserPolicy>,
        judged: Arc<Result<Judged, String>>,
    },
    /// Stored under a schema that let more pass than this version reads.
    Malformed(String),
}

impl Candidate {
    /// `before`: the same object as it was known, so that a change of its status alone is not judged again.
    pub fn read(object: DynamicObject, before: Option<&Self>) -> Self {
        let DynamicObject { types, metadata, data } = object;
        let status = data.get("status").cloned().unwrap_or_default();
        let status = serde_json::from_value(status).unwrap_or_default();
        let gateway = gateway(&metadata, &data);
        let unchanged = before
            .filter(|before| before.metadata.uid == metadata.uid && before.metadata.generation == metadata.generation);
        let reading = match unchanged {
            Some(before) => before.reading.clone(),
            None => Reading::of(DynamicObject { types, metadata: metadata.clone(), data }),
        };
        Self { metadata, gateway, reading, status }
    }

    /// The row's key, and the order among equals.
    pub fn key(&self) -> String {
        let ObjectMeta { namespace, name, .. } = &self.metadata;
        format!("{}/{}", namespace.as_deref().unwrap_or_default(), name.as_deref().unwrap_or_default())
    }

    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    pub fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    pub fn generation(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }

    pub fn created(&self) -> Option<Timestamp> {
        self.metadata.creation_timestamp.as_ref().map(|time| time.0)
    }

    pub fn is_paused(&self) -> bool {
        is_paused(&self.metadata)
    }

    /// Whether what stands in the store has to be looked at: it may stay in force.
    pub fn may_keep_what_stands(&self) -> bool {
        let is_bad = match &self.reading {
            Reading::Malformed(_) => true,
            Reading::Policy { judged, .. } => judged.is_err(),
        };
        is_bad || self.is_paused()
    }

    /// Whether a reconcile of its gateway could come to something else.
    pub fn differs(&self, other: &Self) -> bool {
        self.metadata.uid != other.metadata.uid
            || self.metadata.generation != other.metadata.generation
            || self.is_paused() != other.is_paused()
    }
}

impl Reading {
    fn of(object: DynamicObject) -> Self {
        match object.try_parse::<UserPolicy>() {
            Ok(policy) => {
                let judged = Arc::new(judged(&policy.spec));
                Self::Policy { policy: Arc::new(policy), judged }
            }
            Err(error) => Self::Malformed(error.to_string()),
        }
    }
}

pub fn is_paused(metadata: &ObjectMeta) -> bool {
    metadata.annotations.as_ref().and_then(|all| all.get(PAUSED)).is_some_and(|value| value == "true")
}

/// Also of an object that cannot be read otherwise.
fn gateway(metadata: &ObjectMeta, data: &Value) -> GatewayName {
    let text = |pointer: &str| data.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    GatewayName {
        namespace: text("/spec/gatewayRef/namespace").or_else(|| metadata.namespace.clone()).unwrap_or_default(),
        name: text("/spec/gatewayRef/name").unwrap_or_default(),
    }
}
