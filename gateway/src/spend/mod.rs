//! What people use, counted once, and the limits on it, held by many pods as by one (`state.md`, "The ledger", "Escrow").
//!
//! Invariant: every reply whose last usage frame a client received counts exactly once, whatever dies. Amounts are whole
//! numbers of their meter's unit, never floating point.

pub mod escrow;
mod meter;
mod pace;
mod usage_key;

pub use meter::{Amount, LimitKey, Meter, Period, Unit};
pub use pace::Pace;
pub use usage_key::{Counts, UsageDelta, UsageKey};
