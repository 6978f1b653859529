//! What holds for one principal under one revision, computed once for everybody whom the same policies match.

use std::{fmt, sync::Arc};

use gateway_config::{Retention, TokenLimits, UpstreamRetention};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    ModelAccess,
    document::{Delivery, Document},
};

/// A set of policies that was in force together; newer ones are larger. A file's count from 1 at each start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub i64);

/// What logs, rows and `explain` call a policy: its name, or its place in the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyKey(pub Arc<str>);

/// The first match merged onto the base.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effective {
    pub revision: Revision,
    /// The policy that matched; `None` where only the base holds, or nothing does.
    pub matched: Option<PolicyKey>,
    /// What it was merged onto.
    pub base: Option<PolicyKey>,
    /// The merged settings document, with what limits and retention make of it, and without what the gateway adds of its
    /// own. `None`: no policy applies, which is not an empty policy.
    pub settings: Option<Map<String, Value>>,
    /// Claude Desktop's part; `None`: Desktop is not served.
    pub desktop: Option<Map<String, Value>>,
    pub limits: TokenLimits,
    pub retention: Retention,
    /// Policies in audit mode that would have decided, each as if it alone were enforced.
    pub audited: Vec<Audited>,
    pub(crate) delivery: Delivery,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Audited {
    pub policy: PolicyKey,
    pub would_be: Arc<Effective>,
}

impl Effective {
    /// What may be asked for.
    pub fn models(&self) -> ModelAccess<'_> {
        ModelAccess::in_document(self.settings.as_ref())
    }

    /// What a client gets; `None`: no policy applies.
    pub fn document(&self) -> Option<&Document> {
        self.settings.as_ref().map(|settings| self.delivery.of(settings))
    }

    /// The policy whose people this one is counted among.
    pub fn applied(&self) -> Option<&PolicyKey> {
        self.matched.as_ref().or(self.base.as_ref())
    }

    pub fn needs_zero_retention(&self) -> bool {
        self.retention.upstream == Some(UpstreamRetention::Zero)
    }
}

impl fmt::Display for PolicyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
