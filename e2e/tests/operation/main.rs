//! What operators are promised, seen from outside: boots, files that change, certificates, proxies, a store in trouble.

mod boot;
mod egress;
mod federation;
mod frames;
mod http2;
mod identity_forwarding;
mod limits;
mod patience;
mod reload;
mod store;
mod tls;
