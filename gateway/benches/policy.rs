//! What policies cost: a thousand of them, twenty thousand people of whom no two are alike to them.
//!
//! Prints Markdown: the time of choosing what holds for somebody, the memory of a snapshot with everybody in it, and what a
//! replacement costs the one who replaces and those who ask meanwhile.

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]
#![expect(clippy::unwrap_used, reason = "a measurement that cannot be made ends")]

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use gateway::{
    identity::{Person, Subject},
    policy::{LivePolicies, PolicyKey, PolicySet, Revision},
};
use gateway_config::Policy;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const POLICIES: usize = 1_000;
const PEOPLE: usize = 20_000;
const GROUPS_OF_EACH: usize = 30;
const REPLACEMENTS: i64 = 20;

fn main() {
    let documents: Vec<Value> = (0..POLICIES).map(document).collect();
    let people: Vec<Person> = (0..PEOPLE).map(person).collect();
    let size = documents.iter().map(|document| document.to_string().len()).sum::<usize>() / POLICIES;
    println!("{POLICIES} policies of {size} bytes, {PEOPLE} people, each in {GROUPS_OF_EACH} groups\n");
    println!("| | p50 | p99 | slowest |\n|---|---:|---:|---:|");
    let before = resident();
    let live = LivePolicies::new(set(1, &documents));
    show("first question", times(&live, &people));
    let after = resident();
    for _ in 0..3 {
        times(&live, &people);
    }
    show("warm", times(&live, &people));
    println!("\nmemory of the snapshot: {:.1} MB\n", (after - before) as f64 / 1e6);
    replacements(&live, &documents, &people);
}

fn replacements(live: &LivePolicies, documents: &[Value], people: &[Person]) {
    let over = AtomicBool::new(false);
    let (mut whole, mut swaps) = (Vec::new(), Vec::new());
    let asked = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut asked = Vec::new();
            while !over.load(Ordering::Relaxed) {
                // As many as ask on a busy pod, not as many as fit on a core that the replacement needs too.
                for person in people.iter().step_by(97) {
                    asked.push(time(|| black_box(live.effective(person))));
                }
                thread::sleep(Duration::from_millis(1));
            }
            asked
        });
        for revision in 2..2 + REPLACEMENTS {
            let started = Instant::now();
            let set = set(revision, documents);
            swaps.push(time(|| live.replace(set)));
            whole.push(started.elapsed());
            thread::sleep(Duration::from_millis(100));
        }
        over.store(true, Ordering::Relaxed);
        asking.join().unwrap()
    });
    println!("| | p50 | p99 | slowest |\n|---|---:|---:|---:|");
    show("replacement, documents read and all", whole);
    show("of it the exchange", swaps);
    show("questions meanwhile", asked);
}

fn set(revision: i64, documents: &[Value]) -> PolicySet {
    let policies = documents.iter().enumerate();
    let policies = policies
        .map(|(n, document)| (PolicyKey(format!("team/policy-{n}").into()), Policy::from_document(document).unwrap()));
    PolicySet::new(Revision(revision), policies.collect())
}

/// Three groups each, some narrowed by domain, some about persons; the last is everybody's.
fn document(n: usize) -> Value {
    let groups: Vec<_> = (0..3).map(|k| format!("group-{}", (n * 3 + k) % 2_500)).collect();
    let matcher = match n {
        _ if n + 1 == POLICIES => json!({}),
        _ if n.is_multiple_of(10) => {
            json!({"subjects": (0..20).map(|k| format!("person-{}", n * 20 + k)).collect::<Vec<_>>()})
        }
        _ if n.is_multiple_of(4) => json!({"groups": groups, "email_domain": "example.com"}),
        _ => json!({"groups": groups}),
    };
    let rules = |verb: &str| (0..20).map(|k| format!("{verb}(./project-{n}/part-{k}/**)")).collect::<Vec<_>>();
    json!({
        "match": matcher,
        "code": {
            "availableModels": ["claude-opus-5", "sonnet", "claude-haiku-4-5"],
            "permissions": {"allow": rules("Read"), "deny": rules("Edit"), "ask": rules("Bash")},
            "env": (0..15).map(|k| (format!("TEAM_{n}_{k}"), "a value of some length".into())).collect::<serde_json::Map<_, Value>>(),
            "hooks": {"PostToolUse": [{"matcher": "Edit|Write", "hooks": [{"type": "command", "command": format!("/opt/{n}")}]}]},
        },
        "limits": {"tokens_per_day": 1_000_000 + n},
        "retention": {"transcript_days": 30, "telemetry": "redacted"},
        // A few are being tried out.
        "mode": if n % 100 == 7 { "audit" } else { "enforce" },
    })
}

/// Two numbers spread the groups, so that nobody has the groups of another.
fn person(n: usize) -> Person {
    let group = |k: usize| format!("group-{}", (n * 7 + k * (1 + n % 83) * 31) % 3_000);
    Person {
        sub: Subject(format!("person-{n}")),
        email: Some(format!("Person.{n}@Example.com")),
        name: Some(format!("Person {n}")),
        groups: (0..GROUPS_OF_EACH).map(group).collect(),
    }
}

fn times(live: &LivePolicies, people: &[Person]) -> Vec<Duration> {
    people.iter().map(|person| time(|| black_box(live.effective(person)))).collect()
}

fn time<T>(what: impl FnOnce() -> T) -> Duration {
    let started = Instant::now();
    let result = what();
    let elapsed = started.elapsed();
    drop(result);
    elapsed
}

fn show(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("| {name} | {:.1?} | {:.1?} | {:.1?} |", at(0.5), at(0.99), at(1.0));
}

/// Bytes, as the kernel counts them.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
