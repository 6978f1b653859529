//! `access_control`, `limits`, `timeouts`, `rate_limits`: what the door lets in.

use std::time::Duration;

use ipnet::IpNet;

use crate::{
    address,
    fields::Fields,
    vocabulary::{Fallback, Key, Shape, Table},
};

const MAX_HEADER_BYTES: u64 = 256 << 10;
/// The HTTP stack takes no longer target.
const MAX_URL_LENGTH: u64 = 65_534;
const MAX_BODY_BYTES: u64 = 1 << 30;

pub(crate) static ACCESS_CONTROL: Table = Table {
    about: "Which client addresses are served, after `listen.trusted_proxies` has been taken into account.",
    keys: &[&[
        Key::optional(
            "allow_cidrs",
            Shape::List(&Shape::Text),
            "Only these addresses and ranges are served; empty: all. Probes of /healthz and /readyz are always answered.",
        ),
        Key::optional(
            "deny_cidrs",
            Shape::List(&Shape::Text),
            "These addresses and ranges are refused, even where `allow_cidrs` holds them.",
        ),
    ]],
};

pub(crate) static LIMITS: Table = Table {
    about: "The largest request that is read.",
    keys: &[&[
        Key::optional(
            "max_request_bytes",
            Shape::Whole(1, MAX_BODY_BYTES),
            "Largest body in bytes; a larger one gets 413 before it is read.",
        )
        .or(Fallback::Whole(32 << 20)),
        Key::optional(
            "max_request_header_bytes",
            Shape::Whole(1, u32::MAX as u64),
            "Largest sum of header bytes, else 431; more than 256 KiB changes nothing.",
        )
        .or(Fallback::Whole(MAX_HEADER_BYTES)),
        Key::optional("max_url_length", Shape::Whole(1, MAX_URL_LENGTH), "Longest request target in bytes, else 414.")
            .or(Fallback::Whole(MAX_URL_LENGTH)),
    ]],
};

pub(crate) static TIMEOUTS: Table = Table {
    about: "How long the gateway waits for others.",
    keys: &[&[Key::optional(
        "upstream_ttfb_ms",
        Shape::Whole(1, 3_600_000),
        "How long an Anthropic upstream may take to begin its answer, in milliseconds. The answer itself may take any time.",
    )
    .or(Fallback::Whole(120_000))]],
};

pub(crate) static RATE_LIMITS: Table = Table {
    about: "Limits per client address on the sign-in pages, which nobody has to sign in for.",
    keys: &[&[
        Key::optional("device_authorization", Shape::Section(&DEVICE_AUTHORIZATION), "Requests for a sign-in code.")
            .or(Fallback::Section),
        Key::optional("device_verify", Shape::Section(&DEVICE_VERIFY), "Codes typed into the verification page.")
            .or(Fallback::Section),
    ]],
};

static DEVICE_AUTHORIZATION: Table = Table { about: "Requests for a sign-in code.", keys: &[&[MAX_30, WINDOW]] };
static DEVICE_VERIFY: Table = Table { about: "Codes typed into the verification page.", keys: &[&[MAX_10, WINDOW]] };

const MAX_ABOUT: &str = "How many an address may make within the window.";
const MAX_30: Key = Key::optional("max", Shape::Whole(1, 1_000_000), MAX_ABOUT).or(Fallback::Whole(30));
const MAX_10: Key = Key::optional("max", Shape::Whole(1, 1_000_000), MAX_ABOUT).or(Fallback::Whole(10));
const WINDOW: Key =
    Key::optional("window_seconds", Shape::Whole(1, 86_400), "Length of the window.").or(Fallback::Whole(600));

/// Deny first; an empty allow list allows everyone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessControl {
    pub allow_cidrs: Vec<IpNet>,
    pub deny_cidrs: Vec<IpNet>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub max_request_bytes: u64,
    pub max_request_header_bytes: usize,
    pub max_url_length: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub upstream_ttfb: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl AccessControl {
    pub(crate) fn read(fields: &Fields<'_>) -> Self {
        Self {
            allow_cidrs: fields.parsed_texts("allow_cidrs", address::range),
            deny_cidrs: fields.parsed_texts("deny_cidrs", address::range),
        }
    }
}

impl Limits {
    pub(crate) fn read(fields: &Fields<'_>) -> Option<Self> {
        let header_bytes: u64 = fields.whole("max_request_header_bytes")?;
        if header_bytes > MAX_HEADER_BYTES {
            fields.warn("max_request_header_bytes", format!("above {MAX_HEADER_BYTES} it changes nothing"));
        }
        Some(Self {
            max_request_bytes: fields.whole("max_request_bytes")?,
            max_request_header_bytes: usize::try_from(header_bytes.min(MAX_HEADER_BYTES)).ok()?,
            max_url_length: fields.whole("max_url_length")?,
        })
    }
}

impl Timeouts {
    pub(crate) fn read(fields: &Fields<'_>) -> Option<Self> {
        Some(Self { upstream_ttfb: Duration::from_millis(fields.whole("upstream_ttfb_ms")?) })
    }
}

impl RateLimits {
    pub(crate) fn read(fields: &Fields<'_>) -> Option<Self> {
        Some(Self {
            device_authorization: RateLimit::read(&fields.section("device_authorization")?)?,
            device_verify: RateLimit::read(&fields.section("device_verify")?)?,
        })
    }
}

impl RateLimit {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        Some(Self { max: fields.whole("max")?, window: Duration::from_secs(fields.whole("window_seconds")?) })
    }
}
