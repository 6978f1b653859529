//! What people use, counted once, and the limits on it, held by many pods as by one (`state.md`, "The ledger", "Escrow").
//!
//! Invariant: every reply whose last usage frame a client received counts exactly once, whatever dies. Amounts are whole
//! numbers of their meter's unit, never floating point.

pub mod escrow;
mod estimate;
mod meter;
mod one_request;
mod over_limit;
mod usage_key;

pub use estimate::{Asked, Estimate, Lesson, Recents, Seen};
pub use meter::{Amount, LimitKey, Meter, Unit};
pub use one_request::Wish;
pub use over_limit::{Advice, OverLimit};
pub use usage_key::{Counts, UsageDelta, UsageKey};
