//! What the set of one gateway is made from: the gateway, its policies, its store, and what stands there of policies that
//! cannot be taken as they are.

use std::{collections::HashMap, sync::Arc};

use super::{Policies, candidate::Candidate, index::Gateway};
use crate::store::{GatewayName, GatewayStore, Stood, StoreError};

pub struct World {
    pub gateway: Option<Arc<Gateway>>,
    /// In the order of their keys.
    pub policies: Vec<Arc<Candidate>>,
    /// Under the keys of those that [`may_keep_what_stands`](Candidate::may_keep_what_stands).
    pub stood: HashMap<String, Stood>,
    pub store: Result<Arc<GatewayStore>, Away>,
}

/// Why nothing can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    pub reason: &'static str,
    pub message: String,
}

impl Away {
    fn not_ready() -> Self {
        Self {
            reason: "GatewayNotReady",
            message: "The gateway's database is not known yet: see the gateway.".to_owned(),
        }
    }
}

impl From<&StoreError> for Away {
    fn from(error: &StoreError) -> Self {
        Self { reason: error.reason(), message: format!("Not written: {error}; {}.", error.remedy()) }
    }
}

/// Nothing before all policies are known.
pub async fn dereference(context: &Policies, name: &GatewayName) -> Option<World> {
    let (gateway, policies) = {
        let index = context.index();
        if !index.is_whole() {
            return None;
        }
        (index.gateway(name), index.policies(name))
    };
    let keys: Vec<_> =
        policies.iter().filter(|policy| policy.may_keep_what_stands()).map(|policy| policy.key()).collect();
    let store = match (&gateway, context.stores.get(name)) {
        (Some(_), Some(store)) => Ok(store),
        _ => Err(Away::not_ready()),
    };
    let (stood, store) = match store {
        Ok(store) if !keys.is_empty() => match store.stored_policies(&keys).await {
            Ok(stood) => (stood, Ok(store)),
            Err(error) => (HashMap::new(), Err(Away::from(&error))),
        },
        store => (HashMap::new(), store),
    };
    Some(World { gateway, policies, stood, store })
}
