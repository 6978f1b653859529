//! The pod: sign-in, tokens and the model proxy. Rooms in the order a request meets them.
//!
//! Surfaces (`door`, `oauth`, `inference`) depend on the rooms below them; only surfaces import axum, only `store` imports
//! sqlx, only `upstream`, `identity` and `telemetry` open outbound connections, all through `gateway-egress`.

pub mod admin;
pub mod boot;
pub mod clock;
pub mod door;
pub mod envelope;
pub mod hashing;
pub mod identity;
pub mod inference;
pub mod oauth;
pub mod policy;
pub mod protocol_page;
pub mod session;
pub mod small_write;
pub mod spend;
pub mod store;
pub mod telemetry;
pub mod upstream;
