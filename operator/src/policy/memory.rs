//! What a gateway's last reconcile found, so that the next one asks and writes only what may be different.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::Instant;

use super::validate::Mark;
use crate::store::{GatewayStore, Head};

/// Numbers that every policy of a gateway shares reach settled policies when they have stood for this long: a rolling update
/// does not write ten thousand statuses at each of its steps.
pub const SETTLES_IN: Duration = Duration::from_secs(10);
const PEOPLE_STAND_FOR: Duration = Duration::from_secs(3_600);

#[derive(Default)]
pub struct Memory {
    written: Option<Set>,
    pods: Option<(Vec<i64>, Instant)>,
    people: Option<(Arc<HashMap<String, i64>>, Instant)>,
    failing_since: Option<Instant>,
}

/// The set that stands, as far as it is known.
struct Set {
    store: Weak<GatewayStore>,
    marks: Vec<Mark>,
    head: Head,
    changed_in: Arc<HashMap<String, i64>>,
    since: Instant,
}

impl Memory {
    /// The set that stands, if it is this one.
    pub fn standing(
        &self,
        store: &Arc<GatewayStore>,
        marks: &[Mark],
        head: &Head,
    ) -> Option<Arc<HashMap<String, i64>>> {
        let set = self.written.as_ref()?;
        let is_same = set.store.ptr_eq(&Arc::downgrade(store)) && set.head == *head && set.marks == marks;
        is_same.then(|| set.changed_in.clone())
    }

    pub fn wrote(
        &mut self,
        store: &Arc<GatewayStore>,
        marks: Vec<Mark>,
        head: Head,
        changed_in: Arc<HashMap<String, i64>>,
    ) {
        self.written = Some(Set { store: Arc::downgrade(store), marks, head, changed_in, since: Instant::now() });
    }

    /// How long the set has stood.
    pub fn stood_for(&self) -> Duration {
        self.written.as_ref().map(|set| set.since.elapsed()).unwrap_or_default()
    }

    /// Notes what live pods serve; true when the number of pods has been the same for a while.
    pub fn saw_pods(&mut self, revisions: &[i64]) -> bool {
        let now = Instant::now();
        let since = match &self.pods {
            Some((before, since)) if before.len() == revisions.len() => *since,
            // The first look has nothing to compare with.
            None => now.checked_sub(SETTLES_IN).unwrap_or(now),
            Some(_) => now,
        };
        self.pods = Some((revisions.to_vec(), since));
        since.elapsed() >= SETTLES_IN
    }

    /// `None`: it is time to count again.
    pub fn people(&self) -> Option<Arc<HashMap<String, i64>>> {
        let (people, counted) = self.people.as_ref()?;
        (counted.elapsed() < PEOPLE_STAND_FOR).then(|| people.clone())
    }

    pub fn counted(&mut self, people: HashMap<String, i64>) -> Arc<HashMap<String, i64>> {
        let people = Arc::new(people);
        self.people = Some((people.clone(), Instant::now()));
        people
    }

    /// True when it has failed for a while.
    pub fn failed(&mut self) -> bool {
        self.failing_since.get_or_insert_with(Instant::now).elapsed() >= SETTLES_IN
    }

    pub fn succeeded(&mut self) {
        self.failing_since = None;
    }
}
