//! What people use, counted once, and the limits on it, held by many pods as by one (`state.md`, "The ledger", "Escrow").
//!
//! Invariant: every reply whose last usage frame a client received counts exactly once, whatever dies. Amounts are whole
//! numbers of their meter's unit, never floating point.

pub mod accumulators;
mod aftermath;
pub mod book;
#[cfg(test)]
mod book_tests;
mod counts;
pub mod escrow;
mod estimate;
pub mod flusher;
mod gate;
#[cfg(test)]
mod gate_tests;
pub mod held;
pub mod journal;
pub mod ledger;
#[cfg(test)]
mod ledger_tests;
pub mod left_over;
mod meter;
mod needs;
mod one_request;
mod outlook;
mod over_limit;
mod pace;
mod reach;
pub mod replay;
pub mod tally;
mod trial;
mod usage_key;

pub use aftermath::Aftermath;
pub use book::{Book, Want};
pub use counts::Counts;
pub use estimate::{Asked, Estimate, Lesson, Recents, Seen};
pub use flusher::{Flusher, Flushing};
pub use gate::Gate;
pub use held::Held;
pub use ledger::{Ledger, OpenReply, Told, Unflushed};
pub use left_over::LeftOver;
pub use meter::{Amount, LimitKey, Meter, Period, Unit};
pub use needs::{Need, Needs};
pub use one_request::{Wish, check as check_request};
pub use over_limit::{Advice, OverLimit};
pub use pace::Pace;
pub use reach::Reach;
pub use replay::Replay;
pub use trial::Trial;
pub use usage_key::{UsageDelta, UsageKey};
