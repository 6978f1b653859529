//! What operators are promised, seen from outside: boots, files that change, certificates, proxies, a store in trouble.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails its test")]

mod boot;
mod egress;
mod federation;
mod floods;
mod frames;
mod http2;
mod identity_forwarding;
mod identity_provider;
mod injection;
mod limits;
mod reload;
mod store;
mod tls;
mod traces;
