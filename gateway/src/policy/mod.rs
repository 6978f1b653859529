//! Who may use what: the live set of policies, and what of it holds for one principal.
//!
//! Invariant: a request sees one whole revision, held in memory; a bad set never replaces a good one. Matching and merging are
//! pure (`configuration.md`, "managed").

mod effective;

pub use effective::{Audited, Effective, PolicyKey, Revision};
