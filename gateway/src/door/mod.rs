//! What every request passes before it meets a room: who it comes from, and under which name it is logged.

pub mod request;

pub use request::{ClientAddress, RequestId};
