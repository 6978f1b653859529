//! One line of the journal.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::spend::{UsageKey, tally::Tally};

/// Tallies are a reply's whole, so the last line of a reply says all about it, and a line that is read twice says nothing new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line<'a> {
    /// A reply's first line.
    Opened {
        reply: u64,
        key: Cow<'a, UsageKey>,
        tally: Tally,
    },
    Counted {
        reply: u64,
        tally: Tally,
    },
    /// What stands above is in the flush of this number, or in one before it.
    Flush(i64),
    /// The store has applied the flush of this number.
    Acknowledged(i64),
    /// As `Flush` and `Acknowledged`, in a file that was written anew.
    Base(i64),
}

impl Line<'_> {
    pub fn text(&self) -> sonic_rs::Result<Vec<u8>> {
        let mut text = Vec::with_capacity(256);
        self.write(&mut text)?;
        Ok(text)
    }

    pub fn write(&self, text: &mut Vec<u8>) -> sonic_rs::Result<()> {
        sonic_rs::to_writer(&mut *text, self)?;
        text.push(b'\n');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Subject;

    #[test]
    fn a_first_line_is_what_serde_makes_of_it() {
        let (subject, model) = (Subject("a\"\\\n\u{7f}é".to_owned()), "m".to_owned());
        let key = UsageKey::at(chrono::DateTime::UNIX_EPOCH, subject, model, "u".to_owned());
        let tally = Tally::from(vec![1, -2, i64::MIN, i64::MAX, 0, 5, 6, 7]);
        let line = Line::Opened { reply: u64::MAX, key: Cow::Borrowed(&key), tally };
        assert_eq!(line.text().unwrap(), [serde_json::to_vec(&line).unwrap(), b"\n".to_vec()].concat());
    }
}
