//! What the door lets in: sizes, waits, rates, addresses.

use crds::gateway::door::{AccessControl, DeviceAuthorization, DeviceVerify, Limits, RateLimits, Timeouts};

use super::gateway::{seconds, unique};

pub(super) fn limits(limits: gateway_config::Limits) -> Limits {
    let gateway_config::Limits { max_request_bytes, max_request_header_bytes, max_url_length } = limits;
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Limits {
        max_request_bytes,
        max_request_header_bytes: small(max_request_header_bytes),
        max_url_length: small(max_url_length),
    }
}

pub(super) fn timeouts(timeouts: gateway_config::Timeouts) -> Timeouts {
    let gateway_config::Timeouts { upstream_ttfb } = timeouts;
    Timeouts { upstream_ttfb_ms: u32::try_from(upstream_ttfb.as_millis()).unwrap_or(u32::MAX), ..Timeouts::default() }
}

pub(super) fn rate_limits(limits: gateway_config::RateLimits) -> RateLimits {
    let gateway_config::RateLimits { device_authorization, device_verify } = limits;
    RateLimits {
        device_authorization: DeviceAuthorization {
            max: device_authorization.max,
            window_seconds: seconds(device_authorization.window),
        },
        device_verify: DeviceVerify { max: device_verify.max, window_seconds: seconds(device_verify.window) },
    }
}

pub(super) fn access_control(access: &gateway_config::AccessControl) -> Option<AccessControl> {
    let gateway_config::AccessControl { allow_cidrs, deny_cidrs } = access;
    let access = AccessControl {
        allow_cidrs: unique(allow_cidrs.iter().map(ToString::to_string)),
        deny_cidrs: unique(deny_cidrs.iter().map(ToString::to_string)),
    };
    (access != AccessControl::default()).then_some(access)
}
