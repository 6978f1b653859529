//! The ledger, its journal and a store that may die at any moment: everything counts once.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use chrono::{DateTime, Utc};
use proptest::prelude::*;

use super::{
    Counts, Ledger, LeftOver, OpenReply, UsageDelta, UsageKey,
    journal::{Line, Owner, abandoned},
    ledger::LARGEST_FLUSH,
};
use crate::{clock::Clock, identity::Subject};

/// It is always the same hour.
struct Epoch;

impl Clock for Epoch {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }
}

fn owner(incarnation: &str) -> Owner {
    Owner::new("https://gateway.example", incarnation)
}

fn open(directory: &Path, incarnation: &str) -> Arc<Ledger> {
    Ledger::open(directory, owner(incarnation), Arc::new(Epoch))
}

fn file(directory: &Path, incarnation: &str) -> PathBuf {
    directory.join(format!("{}.jsonl", owner(incarnation)))
}

fn key(subject: usize) -> UsageKey {
    let subject = Subject(format!("person {subject}"));
    UsageKey::at(DateTime::UNIX_EPOCH, subject, "claude-opus-4-8".to_owned(), "anthropic".to_owned())
}

fn reply(ledger: &Arc<Ledger>, subject: usize) -> OpenReply {
    let UsageKey { subject, model, upstream, hour: _ } = key(subject);
    ledger.reply(subject, model, upstream, None)
}

fn tokens(input_tokens: i64) -> Counts {
    Counts { requests: 1, input_tokens, ..Counts::default() }
}

/// What Postgres keeps, and how it takes a flush.
#[derive(Default)]
struct Rows {
    last: BTreeMap<String, i64>,
    sums: BTreeMap<UsageKey, Counts>,
}

impl Rows {
    fn last(&self, incarnation: &str) -> i64 {
        self.last.get(incarnation).copied().unwrap_or_default()
    }

    fn flush(&mut self, incarnation: &str, sequence: i64, usage: &[UsageDelta]) {
        if self.last(incarnation) >= sequence {
            return;
        }
        self.last.insert(incarnation.to_owned(), sequence);
        for UsageDelta { key, counts } in usage {
            let sum = self.sums.entry(key.clone()).or_default();
            *sum = *sum + *counts;
        }
    }
}

/// A process, as long as it lives.
struct Process {
    incarnation: String,
    ledger: Arc<Ledger>,
    replies: Vec<(usize, OpenReply)>,
    sequence: i64,
    /// The flush that was not acknowledged.
    under_way: Option<Vec<UsageDelta>>,
}

impl Process {
    fn start(directory: &Path, number: usize) -> Self {
        let incarnation = format!("incarnation-{number}");
        let ledger = open(directory, &incarnation);
        Self { incarnation, ledger, replies: Vec::new(), sequence: 0, under_way: None }
    }

    fn take(&mut self) {
        if self.under_way.is_some() {
            return;
        }
        if let Some(told) = self.ledger.take(self.sequence + 1, |_| Vec::new()) {
            self.sequence += 1;
            self.under_way = Some(told.usage);
        }
    }

    fn send(&mut self, rows: &mut Rows, is_heard: bool) {
        let Some(usage) = &self.under_way else { return };
        rows.flush(&self.incarnation, self.sequence, usage);
        if is_heard {
            self.ledger.acknowledge(self.sequence);
            self.under_way = None;
        }
    }
}

/// `meanwhile`: a statement of the dead process that the store carries out at the worst moment.
fn replay(directory: &Path, rows: &mut Rows, mut meanwhile: Option<(i64, Vec<UsageDelta>)>, is_finished: bool) {
    for file in abandoned(directory, &mut Default::default()).unwrap() {
        loop {
            let last = rows.last(file.owner.incarnation());
            let left = LeftOver::of(file.lines().unwrap(), Some(last));
            if let Some((sequence, usage)) = meanwhile.take() {
                rows.flush(file.owner.incarnation(), sequence, &usage);
            }
            if rows.last(file.owner.incarnation()) == last {
                rows.flush(file.owner.incarnation(), left.sequence(), &left.usage());
                break;
            }
        }
        if is_finished {
            file.remove();
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Open {
        subject: usize,
    },
    Record {
        reply: usize,
        more: i64,
    },
    End {
        reply: usize,
    },
    Take,
    /// The flush reaches the store, and its answer the pod.
    Told,
    /// The flush reaches the store; the answer is lost.
    Unheard,
    Rewrite,
    Kill(Kill),
}

#[derive(Debug, Clone)]
struct Kill {
    /// In the middle of a line.
    torn: bool,
    /// The flush that is under way reaches the store while the next process replays.
    late: bool,
    /// The next process is killed too, before it has removed the file.
    replay_is_cut: bool,
}

fn kill() -> impl Strategy<Value = Kill> {
    any::<[bool; 3]>().prop_map(|[torn, late, replay_is_cut]| Kill { torn, late, replay_is_cut })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3usize).prop_map(|subject| Step::Open { subject }),
        6 => (0..8usize, 0..50i64).prop_map(|(reply, more)| Step::Record { reply, more }),
        2 => (0..8usize).prop_map(|reply| Step::End { reply }),
        3 => Just(Step::Take),
        3 => Just(Step::Told),
        2 => Just(Step::Unheard),
        1 => Just(Step::Rewrite),
        1 => kill().prop_map(Step::Kill),
    ]
}

fn die(process: Process, directory: &Path, rows: &mut Rows, Kill { torn, late, replay_is_cut }: &Kill) {
    let path = file(directory, &process.incarnation);
    let under_way = process.under_way.clone().map(|usage| (process.sequence, usage));
    drop(process);
    if *torn {
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(br#"{"counted":{"reply":0,"tally":[1,99"#).unwrap();
    }
    if *late || *replay_is_cut {
        replay(directory, rows, under_way.filter(|_| *late), !replay_is_cut);
    }
}

/// The steps, then a kill and a replay; what the rows say, and what was recorded.
fn play(steps: Vec<Step>, last: Kill) -> (BTreeMap<UsageKey, Counts>, BTreeMap<UsageKey, Counts>) {
    let directory = tempfile::tempdir().unwrap();
    let (mut rows, mut expected, mut starts) = (Rows::default(), BTreeMap::<UsageKey, Counts>::new(), 0);
    let mut process = Process::start(directory.path(), starts);
    let mut totals: Vec<i64> = Vec::new();
    for step in steps.into_iter().chain([Step::Kill(last)]) {
        match step {
            Step::Open { subject } => {
                process.replies.push((subject, reply(&process.ledger, subject)));
                totals.push(-1);
            }
            Step::Record { reply, more } if reply < process.replies.len() => {
                let (subject, open) = &mut process.replies[reply];
                let before = totals[reply];
                totals[reply] = before.max(0) + more;
                open.record(tokens(totals[reply]));
                let counts = tokens(totals[reply]) - if before < 0 { Counts::default() } else { tokens(before) };
                let sum = expected.entry(key(*subject)).or_default();
                *sum = *sum + counts;
            }
            Step::End { reply } if reply < process.replies.len() => {
                drop(process.replies.remove(reply));
                totals.remove(reply);
            }
            Step::Record { .. } | Step::End { .. } => {}
            Step::Take => process.take(),
            Step::Told => process.send(&mut rows, true),
            Step::Unheard => process.send(&mut rows, false),
            Step::Rewrite => process.ledger.rewrite_now(),
            Step::Kill(kill) => {
                totals.clear();
                die(process, directory.path(), &mut rows, &kill);
                starts += 1;
                process = Process::start(directory.path(), starts);
                replay(directory.path(), &mut rows, None, true);
            }
        }
    }
    (rows.sums, expected)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_is_lost_and_whoever_dies_everything_counts_once(steps in prop::collection::vec(step(), 0..60), last in kill()) {
        let (counted, expected) = play(steps, last);
        prop_assert_eq!(counted, expected);
    }
}

#[test]
fn what_is_too_much_for_one_flush_is_not_lost_by_a_kill_between_two() {
    let directory = tempfile::tempdir().unwrap();
    let (mut rows, mut process) = (Rows::default(), Process::start(directory.path(), 0));
    let subjects = LARGEST_FLUSH + 5;
    for subject in 0..subjects {
        reply(&process.ledger, subject).record(tokens(1));
    }
    process.take();
    assert_eq!(process.under_way.as_ref().unwrap().len(), LARGEST_FLUSH);
    process.send(&mut rows, false);
    drop(process);
    replay(directory.path(), &mut rows, None, true);
    assert_eq!(rows.sums.len(), subjects);
    assert!(rows.sums.values().all(|counts| *counts == tokens(1)));
}

#[test]
fn a_store_that_is_away_costs_memory_by_key_and_the_journal_stays_small() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path(), "one");
    reply(&ledger, 0).record(tokens(1));
    ledger.take(1, |_| Vec::new()).unwrap();
    for _ in 0..60_000 {
        reply(&ledger, 0).record(tokens(1));
        ledger.tend();
    }
    assert_eq!(ledger.unflushed(Instant::now()).keys, 2);
    let length = std::fs::metadata(file(directory.path(), "one")).unwrap().len();
    assert!(length < 5 * 1024 * 1024, "{length}");
    drop(ledger);
    let left = LeftOver::of(abandoned(directory.path(), &mut Default::default()).unwrap()[0].lines().unwrap(), Some(0));
    assert_eq!(left.usage()[0].counts, Counts { requests: 60_001, input_tokens: 60_001, ..Counts::default() });
}

#[test]
fn a_journal_that_failed_says_so_and_is_whole_again_when_it_can_be() {
    let directory = tempfile::tempdir().unwrap();
    let blocked = directory.path().join("blocked");
    std::fs::write(&blocked, "").unwrap();
    let ledger = open(&blocked, "one");
    let mut open = reply(&ledger, 0);
    open.record(tokens(5));
    assert!(!ledger.unflushed(Instant::now()).in_journal);
    std::fs::remove_file(&blocked).unwrap();
    ledger.tend();
    assert!(ledger.unflushed(Instant::now()).in_journal);
    open.record(tokens(7));
    drop(open);
    drop(ledger);
    let left = LeftOver::of(abandoned(&blocked, &mut Default::default()).unwrap()[0].lines().unwrap(), Some(0));
    assert_eq!(left.usage()[0].counts, tokens(7));
}

#[test]
fn what_another_model_used_for_a_reply_is_kept_under_its_own_key_and_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path(), "one");
    let mut open = reply(&ledger, 0);
    open.record(tokens(5));
    for input_tokens in [3, 4] {
        open.record_beside("claude-opus-5", Counts { input_tokens, ..Counts::default() });
    }
    let advisor = UsageKey { model: "claude-opus-5".to_owned(), ..key(0) };
    let expected = [
        UsageDelta { key: key(0), counts: tokens(5) },
        UsageDelta { key: advisor, counts: Counts { input_tokens: 4, ..Counts::default() } },
    ];
    drop(open);
    let flushed = ledger.take(1, |_| Vec::new()).unwrap().usage;
    assert_eq!(flushed, expected);
    drop(ledger);
    let lines = abandoned(directory.path(), &mut Default::default()).unwrap()[0].lines().unwrap();
    assert_eq!(LeftOver::of(lines, Some(0)).usage(), expected);
}

#[test]
fn a_ledger_with_nothing_left_to_tell_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path(), "one");
    reply(&ledger, 0).record(tokens(5));
    ledger.close();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "the store does not know it yet");
    ledger.take(1, |_| Vec::new()).unwrap();
    ledger.acknowledge(1);
    assert_eq!(ledger.unflushed(Instant::now()).keys, 0);
    ledger.close();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_journal_names_the_person_by_subject_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path(), "one");
    let mut open = reply(&ledger, 0);
    open.record(tokens(5));
    open.record(tokens(7));
    let text = std::fs::read_to_string(file(directory.path(), "one")).unwrap();
    let opened = r#"{"opened":{"reply":0,"key":{"subject":"person 0","model":"claude-opus-4-8","upstream":"anthropic","hour":"1970-01-01T00:00:00Z"},"tally":[1,5,0,0,0,0,0,0]}}"#;
    let counted = r#"{"counted":{"reply":0,"tally":[1,7,0,0,0,0,0,0]}}"#;
    assert_eq!(text, format!("{opened}\n{counted}\n"));
    assert!(serde_json::from_str::<Line<'_>>(opened).is_ok());
}
