//! What there is: pods, the row, and what only the model knows.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::OnceLock,
};

use super::{
    Amount, Answer, DateTime, Duration, Fault, Hearing, Instant, Luck, Report, Row, Settings, Share, Utc,
    pod::{Pod, Sent, Standing, Wait},
};
use crate::spend::{Period, escrow::row::Lease};

/// A bucket of four refills one amount in it.
pub(super) const STEP: Duration = Duration::from_secs(15);
pub(super) const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) pods: Vec<Pod>,
    pub(super) row: Row,
    /// What all shares together were before the last flush, for a machine that reads it then.
    pub(super) old_sum: Amount,
    /// What people used in the period, whether a flush said so or not.
    pub(super) truth: Amount,
    /// By how much the limit may be passed: estimates that were too low, and what pods had not said when their leases ended.
    pub(super) excuse: Amount,
    /// A request was covered, two flushes of everybody passed, and it still waits.
    pub(super) is_starved: bool,
    pub(super) asked: u8,
    pub(super) wrong_estimates: u8,
    pub(super) lost: u8,
    pub(super) crashes: u8,
    pub(super) cuts: u8,
    pub(super) ticks: u8,
    pub(super) midnights: u8,
}

pub(super) fn now() -> Instant {
    static NOW: OnceLock<Instant> = OnceLock::new();
    *NOW.get_or_init(|| Instant::now() + STEP * 100)
}

pub(super) fn row_now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + chrono::Days::new(1) + STEP * 100
}

impl World {
    pub(super) fn new(settings: &Settings) -> Self {
        let pod = Pod {
            standing: Standing::Alive,
            is_cut: false,
            share: Share::new(settings.limit, now()),
            holds: Vec::new(),
            wait: None,
            sent: None,
            journal: 0,
        };
        Self {
            pods: vec![pod; settings.pods],
            row: Row::new(settings.key(), settings.limit, row_now()),
            old_sum: 0,
            truth: 0,
            excuse: 0,
            is_starved: false,
            asked: 0,
            wrong_estimates: 0,
            lost: 0,
            crashes: 0,
            cuts: 0,
            ticks: 0,
            midnights: 0,
        }
    }

    pub(super) fn ask(&mut self, settings: &Settings, name: usize, amount: Amount) {
        self.asked += u8::from(settings.requests != u8::MAX);
        let pod = &mut self.pods[name];
        match pod.share.try_hold(amount, now()) {
            Ok(()) => pod.hold(amount),
            Err(_) => {
                pod.share.want(amount, now());
                pod.share.has_new_want = false;
                pod.wait = Some(Wait { amount, flushes: None });
            }
        }
    }

    pub(super) fn settle(&mut self, name: usize, held: Amount, spent: Amount) {
        let pod = &mut self.pods[name];
        if let Ok(place) = pod.holds.binary_search(&held) {
            pod.holds.remove(place);
        }
        pod.share.settle(held, spent, now());
        pod.wake();
        self.truth += spent;
        self.excuse += (spent - held).max(0);
        let is_of_places = self.row.key.meter.period() == Period::Always;
        self.wrong_estimates += u8::from(spent != held && !is_of_places);
    }

    pub(super) fn give_up(&mut self, name: usize) {
        let pod = &mut self.pods[name];
        if let Some(wait) = pod.wait.take() {
            pod.share.unwant(wait.amount);
        }
    }

    pub(super) fn flush(&mut self, settings: &Settings, name: usize, luck: Luck) -> Option<()> {
        let pod = &mut self.pods[name];
        match pod.sent.take() {
            Some(sent) => self.send(settings, name, (sent, false), luck),
            None => {
                let report = pod.share.report(&settings.key(), now(), &settings.pace)?;
                self.send(settings, name, (Sent { report, is_applied: false }, true), luck);
                self.count_flush(name);
            }
        }
        Some(())
    }

    pub(super) fn close(&mut self, settings: &Settings, name: usize, luck: Luck) -> Option<()> {
        let report = self.pods[name].share.close(&settings.key())?;
        self.send(settings, name, (Sent { report, is_applied: false }, true), luck);
        Some(())
    }

    fn send(&mut self, settings: &Settings, name: usize, (sent, is_new): (Sent, bool), luck: Luck) {
        self.lost += u8::from(luck != Luck::IsAnswered);
        self.pods[name].sent = Some(sent.clone());
        if luck == Luck::NeverArrives {
            return;
        }
        let is_again = sent.is_applied && !settings.has(Fault::CountsTwice);
        let report = match is_new || settings.has(Fault::RepeatsThePresent) {
            true => sent.report.clone(),
            false => self.pods[name].share.again(&sent.report),
        };
        let answer = self.apply(settings, name, &report, is_again);
        match luck {
            Luck::IsAnswered => self.pods[name].learn(&answer, settings),
            _ => self.pods[name].sent = Some(Sent { is_applied: true, ..sent }),
        }
    }

    /// The row carries out a report, by the machine that runs or by one that lacks something.
    fn apply(&mut self, settings: &Settings, name: usize, report: &Report, is_again: bool) -> Answer {
        self.excuse_those_whose_leases_end(settings, name);
        if settings.has(Fault::HoldsOfTheDeadReturn) {
            let ended =
                self.row.leases.iter_mut().filter(|(other, lease)| *other != NAMES[name] && lease.until <= row_now());
            ended.for_each(|(_, lease)| lease.held = 0);
        }
        if settings.has(Fault::KeepsTheCharge)
            && let Some(lease) = self.row.leases.get_mut(NAMES[name])
        {
            lease.charge = None;
        }
        let (sum, since) = (self.row.granted, self.row.since);
        let old_charges: Amount = self.row.leases.values().filter_map(|lease| Some(lease.charge?.amount)).sum();
        if settings.has(Fault::GrantsByAnOldSum) {
            self.row.granted = self.old_sum;
        }
        let live_pods = self.pods.iter().filter(|pod| pod.standing == Standing::Alive).count();
        let hearing =
            Hearing { incarnation: NAMES[name], is_again, live_pods: live_pods.max(1) as Amount, at: row_now() };
        let mut answer = self.row.apply(report, &hearing, &settings.pace).answer;
        if settings.has(Fault::GrantsByAnOldSum) {
            self.row.granted += sum - self.old_sum;
            self.old_sum = sum;
        }
        if settings.has(Fault::GrantsParts) {
            self.grant_a_part(name, report, &mut answer);
        }
        if self.row.key.meter.period() != Period::Minute && self.row.since != since {
            self.truth = self.pods.iter().map(Pod::unsaid).sum();
            self.excuse += old_charges;
        }
        answer
    }

    /// What a pod had not said when its lease ended is not in the charge.
    fn excuse_those_whose_leases_end(&mut self, settings: &Settings, by: usize) {
        for (other, pod) in self.pods.iter().enumerate() {
            let Some(lease) = self.row.leases.get(NAMES[other]) else { continue };
            if other != by && lease.until <= row_now() && lease.charge.is_none() {
                let charged = if settings.is_of_places() { 0 } else { lease.held };
                self.excuse += (pod.unsaid() + pod.holds.iter().sum::<Amount>() - charged).max(0);
            }
        }
    }

    fn grant_a_part(&mut self, name: usize, report: &Report, answer: &mut Answer) {
        let left = self.row.limit - self.row.used - self.row.granted;
        if let Some(lease) = self.row.leases.get_mut(NAMES[name])
            && lease.needed > 0
            && left > 0
        {
            let part = left.min(report.needed);
            lease.granted += part;
            self.row.granted += part;
            answer.granted += part;
            answer.granted_to_all += part;
        }
    }

    /// Its requests die with it, having spent what they were estimated at; the journal knows.
    pub(super) fn crash(&mut self, name: usize) {
        self.crashes += 1;
        let is_of_places = self.row.key.meter.period() == Period::Always;
        let (limit, pod) = (self.row.limit, &mut self.pods[name]);
        let died: Amount = if is_of_places { 0 } else { pod.holds.iter().sum() };
        self.truth += died;
        let journal = pod.unsaid() + died;
        let share = Share::new(limit, now());
        *pod =
            Pod { standing: Standing::Dead, is_cut: false, share, holds: Vec::new(), wait: None, sent: None, journal };
    }

    pub(super) fn replay(&mut self, settings: &Settings, name: usize) {
        let (key, limit, spent) = (settings.key(), self.row.limit, self.pods[name].journal);
        let report = Report { key, limit, spent, held: 0, given_back: 0, wanted: 0, needed: 0, closed: true };
        self.apply(settings, name, &report, false);
        (self.pods[name].journal, self.pods[name].standing) = (0, Standing::Gone);
    }

    pub(super) fn cut(&mut self, name: usize) {
        self.cuts += 1;
        self.pods[name].is_cut = true;
    }

    pub(super) fn tick(&mut self, settings: &Settings) {
        if settings.ticks != u8::MAX {
            self.ticks += 1;
        }
        for pod in &mut self.pods {
            if let Some(heard) = &mut pod.share.heard {
                heard.usable_until = (heard.usable_until - STEP).max(now());
            }
        }
        for lease in self.row.leases.values_mut() {
            lease.until = (lease.until - STEP).max(row_now());
            lease.wanted_until = (lease.wanted_until - STEP).max(row_now());
            if !lease.wants(row_now()) {
                lease.needed = 0;
            }
        }
        if self.row.key.meter.period() == Period::Minute {
            self.refill_charges();
            self.row.since -= STEP;
            self.row.roll(row_now());
            self.truth = (self.truth - 1).max(0);
        }
    }

    /// A bucket refills what a pod was charged for that may yet spend it, or say so.
    fn refill_charges(&mut self) {
        for (name, pod) in self.pods.iter().enumerate() {
            let Some(mut charge) = self.lease(name).and_then(|lease| lease.charge) else { continue };
            let before = self.row.left_of(charge, row_now());
            charge.at = (charge.at - STEP).max(row_now() - STEP * 4);
            let refilled = before - self.row.left_of(charge, row_now());
            self.excuse += refilled.min(pod.unsaid() + pod.holds.iter().sum::<Amount>());
            if let Some(lease) = self.row.leases.get_mut(NAMES[name]) {
                lease.charge = Some(charge);
            }
        }
    }

    pub(super) fn midnight(&mut self) {
        self.midnights += 1;
        self.row.since = self.row.since - chrono::Days::new(1);
        for charge in self.row.leases.values_mut().filter_map(|lease| lease.charge.as_mut()) {
            charge.at = self.row.since;
        }
    }

    /// Pods have no names of their own: of the worlds that differ in them only, always the same one.
    pub(super) fn in_one_order(self) -> Self {
        let mut order: Vec<usize> = (0..self.pods.len()).collect();
        order.sort_by_cached_key(|&name| {
            let mut hasher = DefaultHasher::new();
            (&self.pods[name].without_flushes(), self.lease(name)).hash(&mut hasher);
            hasher.finish()
        });
        if order.is_sorted() {
            return self;
        }
        let Self { pods, row, .. } = &self;
        let leases =
            order.iter().enumerate().filter_map(|(new, &old)| Some((NAMES[new].to_owned(), self.lease(old)?.clone())));
        let row = Row { leases: leases.collect(), ..row.clone() };
        let pods = order.iter().map(|&old| pods[old].renamed(&order)).collect();
        Self { pods, row, ..self }
    }

    pub(super) fn lease(&self, name: usize) -> Option<&Lease> {
        self.row.leases.get(NAMES[name])
    }
}
