//! Everybody who plays a part beside the gateway. Each part ends when it is dropped and listens on loopback only.

pub mod certificate;
pub mod client;
pub mod openid;
pub mod postgres;
pub mod provider;
