//! A pod: its share, its requests, and what is on its way.

use super::{
    Amount, Answer, Fault, Report, Settings, Share,
    world::{NAMES, now},
};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pod {
    pub(super) standing: Standing,
    pub(super) is_cut: bool,
    pub(super) share: Share,
    /// The estimates of requests under way, ascending.
    pub(super) holds: Vec<Amount>,
    pub(super) wait: Option<Wait>,
    pub(super) sent: Option<Sent>,
    /// Of a dead pod: what its journal says that no applied flush did.
    pub(super) journal: Amount,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Standing {
    Alive,
    Dead,
    /// Dead, and its journal is replayed.
    Gone,
}

/// A request that waits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Wait {
    pub(super) amount: Amount,
    /// While the row knows of it, and what is left and idle covers it: the flushes of each pod since then, up to two.
    pub(super) flushes: Option<[u8; NAMES.len()]>,
}

/// A flush that was not answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Sent {
    pub(super) report: Report,
    pub(super) is_applied: bool,
}

impl Pod {
    pub(super) fn hold(&mut self, amount: Amount) {
        let place = self.holds.partition_point(|&held| held <= amount);
        self.holds.insert(place, amount);
    }

    pub(super) fn learn(&mut self, answer: &Answer, settings: &Settings) {
        self.sent = None;
        self.share.learn(answer, now(), &settings.pace);
        // What is not looked at, as long as no estimate is larger than the limit: only by how much the limit is passed.
        if let Some(heard) = &mut self.share.heard {
            heard.used = (heard.used + heard.granted_to_all - heard.limit).max(0);
            heard.granted_to_all = heard.limit;
            (heard.idle_here, heard.idle_elsewhere, heard.resets_at) = (0, 0, None);
            heard.wanted_elsewhere &= !settings.has(Fault::GivesNothingBack);
        }
        self.wake();
    }

    /// The waiting request takes its hold, if there is room now.
    pub(super) fn wake(&mut self) {
        if let Some(wait) = &self.wait
            && self.share.try_hold(wait.amount, now()).is_ok()
        {
            let amount = wait.amount;
            self.share.unwant(amount);
            self.wait = None;
            self.hold(amount);
        }
    }

    /// Spent, and in no flush that the row has applied.
    pub(super) fn unsaid(&self) -> Amount {
        let sent = self.sent.as_ref().filter(|sent| !sent.is_applied);
        self.share.spent + sent.map_or(0, |sent| sent.report.spent) + self.journal
    }

    /// What it takes for granted, but for what the row knows to be gone.
    pub(super) fn believed(&self) -> Amount {
        let applied = self.sent.as_ref().filter(|sent| sent.is_applied);
        self.share.granted - applied.map_or(0, |sent| sent.report.spent + sent.report.given_back)
    }

    /// Of what the row has granted to it, what no request here holds or is about to take.
    pub(super) fn idle(&self, granted: Amount) -> Amount {
        let room = self.share.room().min(granted - self.share.held).max(0);
        match &self.wait {
            _ if !self.can_flush() => 0,
            Some(wait) if wait.amount <= room => room - wait.amount,
            _ => room,
        }
    }

    pub(super) fn can_flush(&self) -> bool {
        self.standing == Standing::Alive && !self.is_cut
    }

    pub(super) fn without_flushes(&self) -> Self {
        let mut pod = self.clone();
        if let Some(wait) = &mut pod.wait {
            wait.flushes = None;
        }
        pod
    }

    pub(super) fn renamed(&self, order: &[usize]) -> Self {
        let mut pod = self.clone();
        if let Some(Wait { flushes: Some(flushes), .. }) = &mut pod.wait {
            let before = *flushes;
            order.iter().enumerate().for_each(|(new, &old)| flushes[new] = before[old]);
        }
        pod
    }
}
