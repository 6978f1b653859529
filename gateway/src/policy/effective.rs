//! What holds for one principal under one revision, computed once for everybody whom the same policies match.

use std::{fmt, sync::Arc};

use gateway_config::{Retention, TokenLimits};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A set of policies that was in force together; newer ones are larger. A file's count from 1 at each start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub i64);

/// What logs, rows and `explain` call a policy: its name, or its place in the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyKey(pub Arc<str>);

/// The first match merged onto the base.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    pub revision: Revision,
    /// The policy that matched; `None` where only the base holds, or nothing does.
    pub matched: Option<PolicyKey>,
    /// The merged settings document, before what the gateway adds. `None`: no policy applies, which is not an empty policy.
    pub settings: Option<Map<String, Value>>,
    /// Claude Desktop's part; `None`: Desktop is not served.
    pub desktop: Option<Map<String, Value>>,
    pub limits: TokenLimits,
    pub retention: Retention,
    /// Policies in audit mode that would have decided, were they enforced.
    pub audited: Vec<Audited>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Audited {
    pub policy: PolicyKey,
    pub would_be: Arc<Effective>,
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
