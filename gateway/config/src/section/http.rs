//! `access_control`, `limits`, `timeouts`, `rate_limits`: what the door lets in.

use std::time::Duration;

use ipnet::IpNet;

/// Deny first; an empty allow list allows everyone.
#[derive(Debug, Clone, Default)]
pub struct AccessControl {
    pub allow_cidrs: Vec<IpNet>,
    pub deny_cidrs: Vec<IpNet>,
}

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub max_request_bytes: u64,
    pub max_request_header_bytes: usize,
    pub max_url_length: usize,
}

#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    pub upstream_ttfb: Duration,
}

#[derive(Debug, Clone, Copy)]
pub struct RateLimits {
    pub device_authorization: RateLimit,
    pub device_verify: RateLimit,
}

/// At most `max` in each window, per client address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    pub max: u32,
    pub window: Duration,
}
