//! `load_test_mode`: the gateway answers itself, so that a load test costs nothing.

use std::time::Duration;

use crate::{
    fields::Fields,
    vocabulary::{Fallback, Key, Shape, Table},
};

pub(crate) static LOAD_TEST_MODE: Table = Table {
    about: "Requests are built and signed, then answered by the gateway itself. Never where developers work.",
    keys: &[&[
        Key::required("enabled", Shape::Flag, "true turns it on; false keeps the numbers in the file."),
        Key::optional("reply_tokens", Shape::Whole(1, 100_000), "About how many tokens of text a reply holds.")
            .or(Fallback::Whole(750)),
        Key::optional("reply_seconds", Shape::Number(0.0, 600.0), "How long a streamed reply takes.")
            .or(Fallback::Number(9.5)),
    ]],
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadTestMode {
    pub enabled: bool,
    pub reply_tokens: u32,
    pub reply_time: Duration,
}

impl LoadTestMode {
    pub(crate) fn read(fields: &Fields<'_>) -> Option<Self> {
        Some(Self {
            enabled: fields.flag("enabled")?,
            reply_tokens: fields.whole("reply_tokens")?,
            reply_time: Duration::from_secs_f64(fields.number("reply_seconds")?),
        })
    }
}
