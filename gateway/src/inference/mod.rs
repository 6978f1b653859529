//! The model proxy: admitted → body → model → policy → upstreams → relay → usage.
//!
//! Invariant: the path asks nobody. The bearer is verified locally, nothing here touches the store, and bytes are not rebuilt.

pub mod allowance;
pub mod attempts;
pub mod body;
pub mod catalogue;
mod consumption;
pub mod desk;
mod failures;
mod held;
mod joined;
mod json_tap;
pub mod link;
pub mod listing;
pub mod models;
mod other_models;
pub mod refusal;
pub mod relay;
pub mod report;
pub mod scan;
pub mod tap;
pub mod text_bytes;
pub mod usage;
pub mod verdict;

pub use allowance::Limits;
pub use catalogue::Catalogue;
pub use desk::{Desk, Shared};
pub use models::{GrantedModel, Models};
pub use refusal::Refusal;
