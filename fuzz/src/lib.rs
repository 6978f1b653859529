//! The gateway's readers of strangers' bytes, by the file: with the whole gateway behind them, its store and its TLS, a build
//! with the fuzzer's instruments takes longer than all the fuzzing.

#[path = "../../gateway/src/upstream/http1/body.rs"]
pub mod http1_body;
#[path = "../../gateway/src/inference/json_tap.rs"]
pub mod json_tap;
#[path = "../../gateway/src/inference/scan.rs"]
pub mod scan;
#[path = "../../gateway/src/inference/tap.rs"]
pub mod tap;
#[path = "../../gateway/src/inference/usage.rs"]
pub mod usage;
#[path = "../../gateway/src/oauth/user_code.rs"]
pub mod user_code;

#[path = "../../gateway/src/session/chance.rs"]
pub mod chance;

#[path = "../../gateway/src/spend/counts.rs"]
pub mod counts;

mod spend {
    pub(crate) use super::counts::Counts;
}

mod session {
    pub(crate) use super::chance;
}
