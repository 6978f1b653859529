//! What a dead process had counted and the store does not know.

use std::collections::{BTreeMap, HashMap};

use super::{Amount, Unit, UsageDelta, UsageKey, journal::Line, tally::Tally};
use crate::identity::Subject;

/// By key, in the order in which the store locks its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOver {
    tallies: BTreeMap<UsageKey, Tally>,
    sequence: i64,
}

#[derive(Default)]
struct Reply {
    key: Option<UsageKey>,
    known: Tally,
    latest: Tally,
}

impl LeftOver {
    /// `last` is the number of the last flush of that process which the store has applied; `None` where the store knows
    /// nothing of that process (any more), and the journal has to say it. Each reply's last line counts, less what it had come
    /// to at that flush's boundary.
    pub fn of(lines: Vec<Line<'_>>, last: Option<i64>) -> Self {
        let acknowledged = last.or(newest(&lines, is_acknowledged)).unwrap_or_default();
        // A flush without a boundary: the journal had failed before, and what it has was in that flush; or another process
        // has told the store and was killed before it removed the file.
        let newest = newest(&lines, is_boundary).unwrap_or_default();
        let mut left = Self { tallies: BTreeMap::new(), sequence: newest.max(acknowledged) + 1 };
        if newest < acknowledged {
            return left;
        }
        for (_, reply) in replies(lines, acknowledged) {
            let unknown = reply.latest - reply.known;
            if let Some(key) = reply.key.filter(|_| !unknown.is_zero()) {
                let tally = left.tallies.entry(key).or_default();
                *tally = *tally + unknown;
            }
        }
        left
    }

    pub fn is_empty(&self) -> bool {
        self.tallies.is_empty()
    }

    /// The number under which it is told: after all that the dead process may have used, so that whoever reads the journal once
    /// more sees that it was told.
    pub fn sequence(&self) -> i64 {
        self.sequence
    }

    pub fn usage(&self) -> Vec<UsageDelta> {
        self.tallies.iter().map(|(key, tally)| UsageDelta { key: key.clone(), counts: tally.counts }).collect()
    }

    /// Whose it is, each once.
    pub fn people(&self) -> Vec<String> {
        let mut people: Vec<_> = self.tallies.keys().map(|key| key.subject.0.clone()).collect();
        people.dedup();
        people
    }

    /// What limits of this unit were charged for it.
    pub fn charged(&self, subject: &Subject, unit: Unit) -> Amount {
        let of_subject = self.tallies.iter().filter(|(key, _)| key.subject == *subject);
        let charge = |tally: &Tally| match unit {
            Unit::Tokens => tally.charged_tokens,
            Unit::Requests => tally.counts.requests,
            // Its requests died with it.
            Unit::Places => 0,
        };
        of_subject.map(|(_, tally)| charge(tally)).sum()
    }
}

fn is_boundary(line: &Line<'_>) -> Option<i64> {
    match line {
        Line::Flush(sequence) | Line::Base(sequence) => Some(*sequence),
        Line::Opened { .. } | Line::Counted { .. } | Line::Acknowledged(_) => None,
    }
}

fn is_acknowledged(line: &Line<'_>) -> Option<i64> {
    match line {
        Line::Acknowledged(sequence) | Line::Base(sequence) => Some(*sequence),
        Line::Opened { .. } | Line::Counted { .. } | Line::Flush(_) => None,
    }
}

fn newest(lines: &[Line<'_>], sequence: fn(&Line<'_>) -> Option<i64>) -> Option<i64> {
    lines.iter().filter_map(sequence).max()
}

fn replies(lines: Vec<Line<'_>>, acknowledged: i64) -> HashMap<u64, Reply> {
    let is_told = |line: &Line<'_>| match line {
        Line::Flush(sequence) => *sequence <= acknowledged,
        Line::Base(_) => true,
        Line::Opened { .. } | Line::Counted { .. } | Line::Acknowledged(_) => false,
    };
    let told = lines.iter().rposition(is_told).map_or(0, |boundary| boundary + 1);
    let mut replies: HashMap<u64, Reply> = HashMap::new();
    for (place, line) in lines.into_iter().enumerate() {
        let (number, key, tally) = match line {
            Line::Opened { reply, key, tally } => (reply, Some(key.into_owned()), tally),
            Line::Counted { reply, tally } => (reply, None, tally),
            Line::Flush(_) | Line::Acknowledged(_) | Line::Base(_) => continue,
        };
        let reply = replies.entry(number).or_default();
        reply.key = key.or(reply.key.take());
        reply.latest = tally;
        if place < told {
            reply.known = tally;
        }
    }
    replies
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use chrono::DateTime;

    use super::*;

    fn key(subject: &str) -> UsageKey {
        UsageKey {
            subject: Subject(subject.to_owned()),
            model: "claude-opus-4-8".to_owned(),
            upstream: "anthropic".to_owned(),
            hour: DateTime::UNIX_EPOCH,
        }
    }

    fn opened(reply: u64, subject: &str, input: i64) -> Line<'static> {
        Line::Opened { reply, key: Cow::Owned(key(subject)), tally: tally(input) }
    }

    fn counted(reply: u64, input: i64) -> Line<'static> {
        Line::Counted { reply, tally: tally(input) }
    }

    fn tally(input: i64) -> Tally {
        Tally::from(vec![1, input, 0, 0, 0, 0, 0, input])
    }

    fn input(lines: Vec<Line<'_>>, acknowledged: i64) -> i64 {
        LeftOver::of(lines, Some(acknowledged)).usage().iter().map(|delta| delta.counts.input_tokens).sum()
    }

    #[test]
    fn only_what_came_after_the_last_acknowledged_flush_is_left() {
        let lines =
            || vec![opened(1, "a", 5), Line::Flush(1), counted(1, 9), opened(2, "b", 3), Line::Flush(2), counted(2, 4)];
        assert_eq!(input(lines(), 0), 13);
        assert_eq!(input(lines(), 1), 8);
        assert_eq!(input(lines(), 2), 1);
    }

    #[test]
    fn a_flush_that_the_journal_does_not_know_leaves_nothing() {
        assert!(LeftOver::of(vec![opened(1, "a", 5), Line::Flush(1), counted(1, 9)], Some(2)).is_empty());
        assert!(LeftOver::of(vec![opened(1, "a", 5)], Some(1)).is_empty());
    }

    #[test]
    fn what_was_told_for_a_dead_process_is_not_taken_for_a_flush_of_its_own() {
        let lines = || vec![opened(1, "a", 5), Line::Flush(1), counted(1, 9)];
        let told_as = LeftOver::of(lines(), Some(0)).sequence();
        assert_eq!(told_as, 2);
        assert!(LeftOver::of(lines(), Some(told_as)).is_empty());
    }

    #[test]
    fn where_the_store_has_forgotten_the_process_its_journal_says_what_was_told() {
        let lines = || vec![opened(1, "a", 5), Line::Flush(1), Line::Acknowledged(1), counted(1, 9), Line::Flush(2)];
        assert_eq!(LeftOver::of(lines(), None).usage()[0].counts.input_tokens, 4);
        assert_eq!(LeftOver::of(lines()[..2].to_vec(), None).usage()[0].counts.input_tokens, 5);
    }

    #[test]
    fn what_stands_above_a_base_is_known_whatever_the_store_says() {
        let lines = || vec![opened(1, "a", 5), Line::Base(7), opened(2, "a", 2), Line::Flush(8), counted(1, 6)];
        assert_eq!(input(lines(), 7), 3);
        assert_eq!(input(lines(), 8), 1);
        assert_eq!(input(lines(), 3), 3, "a database that was restored");
    }

    #[test]
    fn limits_are_charged_for_what_is_left_of_their_person() {
        let left = LeftOver::of(vec![opened(1, "a", 5), opened(2, "b", 7), opened(3, "a", 1)], Some(0));
        let alice = Subject("a".to_owned());
        assert_eq!(left.charged(&alice, Unit::Tokens), 6);
        assert_eq!(left.charged(&alice, Unit::Requests), 2);
        assert_eq!(left.charged(&alice, Unit::Places), 0);
        assert_eq!(left.usage().len(), 2);
    }
}
