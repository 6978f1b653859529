//! Time as a parameter: rules ask a [`Clock`], so that a test can turn the hands.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat, Utc};

pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// Writes moments as RFC 3339 has them, in UTC and without leap seconds, which this machine's clock does not show. Whoever writes
/// many writes most of them in one second, and remembers its text.
#[derive(Debug, Default)]
pub struct Stamp {
    second: Option<i64>,
    text: String,
    /// Of the text up to the second.
    length: usize,
}

impl Stamp {
    pub const fn new() -> Self {
        Self { second: None, text: String::new(), length: 0 }
    }

    pub fn in_seconds(&mut self, moment: DateTime<Utc>) -> &str {
        self.up_to_second(moment).push('Z');
        &self.text
    }

    pub fn in_milliseconds(&mut self, moment: DateTime<Utc>) -> &str {
        // A String takes everything.
        let _ = write!(self.up_to_second(moment), ".{:03}Z", moment.timestamp_subsec_millis().min(999));
        &self.text
    }

    fn up_to_second(&mut self, moment: DateTime<Utc>) -> &mut String {
        if self.second.replace(moment.timestamp()) != Some(moment.timestamp()) {
            self.text = moment.to_rfc3339_opts(SecondsFormat::Secs, true);
            self.length = self.text.len() - 1;
        }
        self.text.truncate(self.length);
        &mut self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_says_what_chrono_says() {
        let mut stamp = Stamp::new();
        for milliseconds in
            [0, 7, 7, 999, 1_000, 1_764_298_799_999, 1_764_298_800_000, -1, -999, -1_000, 253_402_300_800_000]
        {
            let moment = DateTime::from_timestamp_millis(milliseconds).unwrap();
            assert_eq!(stamp.in_milliseconds(moment), moment.to_rfc3339_opts(SecondsFormat::Millis, true));
            assert_eq!(stamp.in_seconds(moment), moment.to_rfc3339_opts(SecondsFormat::Secs, true));
        }
    }
}
