//! Whether somebody waits for what is there: a request, once what is left and idle covers it, has its share when every pod has
//! flushed twice.

use super::{
    Action, Amount,
    pod::{Pod, Wait},
    world::{NAMES, World, row_now},
};

impl World {
    /// A new flush that was answered counts for those who wait elsewhere. Who waits here has been served by it, if all others
    /// have made two.
    pub(super) fn count_flush(&mut self, by: usize) {
        self.note_who_is_covered();
        if self.pods[by].sent.is_some() {
            return;
        }
        for (name, pod) in self.pods.iter_mut().enumerate() {
            let Some(Wait { flushes: Some(flushes), .. }) = &mut pod.wait else { continue };
            match name == by {
                true => self.is_starved |= flushes.iter().enumerate().all(|(other, &made)| other == by || made >= 2),
                false => flushes[by] = (flushes[by] + 1).min(2),
            }
        }
    }

    /// What covered those who wait may be gone, or be where its pod has flushed already: their two flushes begin anew. So it
    /// is where somebody takes a hold, where a pod goes or comes, and where one says late what it has long held or got.
    pub(super) fn note_what_is_taken(&mut self, before: &Self, action: Action) {
        let held = |pod: &Pod| pod.holds.iter().sum::<Amount>();
        let differs = |(pod, before): (&Pod, &Pod)| held(pod) > held(before) || pod.can_flush() != before.can_flush();
        let is_late = match action {
            Action::Flush(name, _) => {
                let granted = before.lease(name).map_or(0, |lease| lease.granted);
                before.pods[name].sent.is_some() || granted < before.pods[name].share.held
            }
            _ => false,
        };
        if is_late || self.pods.iter().zip(&before.pods).any(differs) {
            self.pods.iter_mut().filter_map(|pod| pod.wait.as_mut()).for_each(|wait| wait.flushes = None);
        }
    }

    /// Begins or forgets to count flushes for those who wait. Who cannot flush is not waited for.
    pub(super) fn note_who_is_covered(&mut self) {
        let granted = |name| self.lease(name).map_or(0, |lease| lease.granted);
        let idle: Amount = self.pods.iter().enumerate().map(|(name, pod)| pod.idle(granted(name))).sum();
        let covered = self.row.limit - self.row.used - self.row.granted + idle;
        let absent: [u8; 3] = std::array::from_fn(|name| match self.pods.get(name) {
            Some(pod) if pod.can_flush() => 0,
            _ => 2,
        });
        for (name, pod) in self.pods.iter_mut().enumerate() {
            let is_known = self.row.leases.get(NAMES[name]).is_some_and(|lease| lease.wants(row_now()));
            if let Some(wait) = &mut pod.wait {
                let counts = is_known && absent[name] == 0 && covered >= wait.amount;
                let made = wait.flushes.unwrap_or_default();
                wait.flushes = counts.then(|| std::array::from_fn(|other| made[other].max(absent[other])));
            }
        }
    }
}
