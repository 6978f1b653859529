//! Who may use what: the live set of policies, and what of it holds for one principal.
//!
//! Invariant: a request sees one whole revision, held in memory; a bad set never replaces a good one. Matching and merging are
//! pure (`configuration.md`, "managed").

mod applied;
mod bootstrap;
mod document;
mod effective;
mod explain;
mod live;
mod managed_settings;
mod matching;
mod merging;
mod model_access;
mod pushed;
mod routes;
mod set;
mod stored;

pub use applied::{Applications, Applied};
pub use bootstrap::{Offered, Offering};
pub use document::Document;
pub use effective::{Audited, Effective, PolicyKey, Revision};
pub use explain::{Considered, ExplainedLimit, Explanation, Outcome, Settings, explain};
pub use live::LivePolicies;
pub use model_access::{ModelAccess, ModelNames, NotAvailable};
pub use routes::{PolicyParts, routes};
pub use set::PolicySet;
pub use stored::{BadPolicy, StoredPolicies, StoredPoliciesError};
