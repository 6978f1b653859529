//! What is due, and what is under way: nothing twice at once, and what is asked for meanwhile comes after.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
};

use tokio::time::Instant;

pub struct Queue<Key> {
    due: HashMap<Key, Instant>,
    running: HashSet<Key>,
}

impl<Key> Default for Queue<Key> {
    fn default() -> Self {
        Self { due: HashMap::new(), running: HashSet::new() }
    }
}

impl<Key: Hash + Eq + Clone> Queue<Key> {
    /// At this moment, or earlier if that was asked for before.
    pub fn ask(&mut self, key: Key, at: Instant) {
        let due = self.due.entry(key).or_insert(at);
        *due = at.min(*due);
    }

    /// Something that is due; it is under way until [`done`](Self::done).
    pub fn take(&mut self, now: Instant) -> Option<Key> {
        let ready = |(key, at): &(&Key, &Instant)| **at <= now && !self.running.contains(*key);
        let key = self.due.iter().filter(ready).min_by_key(|(_, at)| **at)?.0.clone();
        self.due.remove(&key);
        self.running.insert(key.clone());
        Some(key)
    }

    pub fn done(&mut self, key: &Key) {
        self.running.remove(key);
    }

    pub fn running(&self) -> usize {
        self.running.len()
    }

    pub fn waiting(&self) -> usize {
        self.due.len()
    }

    /// When there is something to take, unless something else happens.
    pub fn next(&self) -> Option<Instant> {
        self.due.iter().filter(|(key, _)| !self.running.contains(key)).map(|(_, at)| *at).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_runs_is_not_taken_again_and_not_forgotten() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.ask("a", now + Duration::from_secs(5));
        queue.ask("a", now);
        queue.ask("b", now + Duration::from_secs(1));
        assert_eq!((queue.take(now), queue.take(now)), (Some("a"), None));
        queue.ask("a", now);
        assert_eq!((queue.take(now), queue.next()), (None, Some(now + Duration::from_secs(1))));
        queue.done(&"a");
        assert_eq!((queue.take(now), queue.running(), queue.waiting()), (Some("a"), 1, 1));
    }
}
