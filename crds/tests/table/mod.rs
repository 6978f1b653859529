//! What the two kinds accept and refuse, case by case. Whoever judges an object is judged by the same table: the schema by
//! itself, and a real API server.

#![expect(unreachable_pub, reason = "a folder that the tests of two crates have in common")]

pub mod bounds;
pub mod gateway;
pub mod objects;
pub mod policy;
pub mod samples;
pub mod schema;
pub mod updates;

use serde_json::Value;

/// An object, and what has to become of it.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    pub object: Value,
    /// What the object was before, where that matters.
    pub before: Option<Value>,
    pub verdict: Verdict,
}

#[derive(Debug, Clone)]
pub enum Verdict {
    Accepted,
    Refused {
        /// The path that the refusal names.
        field: String,
        /// What a rule's refusal says; of the schema's own words an API server has others.
        says: Option<String>,
    },
}

/// Every case there is.
pub fn cases() -> Vec<Case> {
    let hand_written = gateway::cases().into_iter().chain(policy::cases()).chain(updates::cases());
    hand_written.chain(bounds::cases()).collect()
}

pub fn accepted(name: &str, object: Value) -> Case {
    Case { name: name.to_owned(), object, before: None, verdict: Verdict::Accepted }
}

/// By a rule.
pub fn refused(name: &str, object: Value, field: &str, says: &str) -> Case {
    let verdict = Verdict::Refused { field: field.to_owned(), says: Some(says.to_owned()) };
    Case { name: name.to_owned(), object, before: None, verdict }
}

/// By the schema's own words: a type, a bound, a choice, a missing field.
pub fn unfit(name: &str, object: Value, field: &str) -> Case {
    let verdict = Verdict::Refused { field: field.to_owned(), says: None };
    Case { name: name.to_owned(), object, before: None, verdict }
}

pub trait Change {
    /// The value at a path such as `spec.upstreams[0].name` put in, whatever was there; the parts before it are made.
    fn with(self, path: &str, value: Value) -> Self;
    fn without(self, path: &str) -> Self;
}

impl Change for Value {
    fn with(mut self, path: &str, value: Value) -> Self {
        let place = steps(path).into_iter().fold(&mut self, |place, step| match step {
            Step::Key(key) => &mut place[key],
            Step::Index(index) => {
                let list = place.as_array_mut().unwrap();
                if list.len() == index {
                    list.push(Value::Null);
                }
                &mut list[index]
            }
        });
        *place = value;
        self
    }

    fn without(mut self, path: &str) -> Self {
        let (parent, key) = path.rsplit_once('.').unwrap();
        let place = steps(parent).into_iter().fold(&mut self, |place, step| match step {
            Step::Key(key) => &mut place[key],
            Step::Index(index) => &mut place[index],
        });
        place.as_object_mut().unwrap().remove(key).unwrap();
        self
    }
}

enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

fn steps(path: &str) -> Vec<Step<'_>> {
    path.split('.')
        .flat_map(|part| {
            let (key, index) = part.split_once('[').map_or((part, None), |(key, rest)| (key, Some(rest)));
            let index = index.map(|rest| Step::Index(rest.trim_end_matches(']').parse().unwrap()));
            [Some(Step::Key(key)), index]
        })
        .flatten()
        .collect()
}
