//! Everybody who plays a part beside the gateway. Each part ends when it is dropped and listens on loopback only.

pub mod browser;
pub mod certificate;
pub mod claude;
pub mod client;
pub mod fleet;
pub mod forward_proxy;
pub mod gateway;
pub mod holder;
pub mod interrupt;
pub mod kept;
pub(crate) mod leash;
pub mod length;
pub mod load;
pub mod load_balancer;
pub mod name_server;
pub mod network;
pub mod node;
pub mod openid;
pub mod patience;
pub mod people;
pub mod policies;
pub mod postgres;
pub mod process;
pub mod provider;
pub mod signin;
pub mod stage;
