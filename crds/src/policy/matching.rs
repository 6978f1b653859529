//! Whom a policy is for.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::text;

/// Every part that is written has to match.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// Member of one of these; exact, case included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::some_words")]
    pub groups: Vec<String>,
    /// The domain of the e-mail address; case does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::email_domain")]
    pub email_domain: Option<String>,
    /// One of these e-mail addresses; case does not matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::some_emails")]
    pub emails: Vec<String>,
    /// One of these subjects of the identity provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::some_words")]
    pub subjects: Vec<String>,
}

impl Match {
    /// Everyone, and the base of all other policies.
    pub fn is_base(&self) -> bool {
        *self == Self::default()
    }
}
