//! The protocol as a model, made of the very [`Share`] and [`Row`] that run: pods that ask, settle, flush, wait, lose answers,
//! are cut off and die, in every order. [`claims`] says what holds in every state.
//!
//! One step of the clock is what a pod may use a share for after an answer; a lease lasts two. A flush is made, reaches the
//! row and is answered in one step, or its answer is lost: what a pod does between making and arrival could as well come
//! after, because the row does not see it; what it does between arrival and answer could come after too, because an answer
//! never lessens its room. The clock stands still and what is remembered ages, so that states which differ in the date only
//! are one; so are those which differ in the pods' names only, or in what no rule looks at.

mod claims;
mod cover;
mod exploration;
mod pod;
mod settings;
mod world;

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use stateright::{Model, Property};

use super::{
    Amount, Answer, Pace, Report, Share,
    row::{Hearing, Row},
};
use pod::{Pod, Standing};
use settings::{Fault, Settings};
use world::World;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// A request arrives that is estimated at so much.
    Ask(usize, Amount),
    /// A held request ends, having spent so much.
    Settle(usize, Amount, Amount),
    /// The waiting request is refused, or its client went.
    GiveUp(usize),
    /// Of the report that was not answered, or of a new one.
    Flush(usize, Luck),
    /// Of a report that ends the share.
    Close(usize, Luck),
    Crash(usize),
    /// Another process replays the journal of a dead pod.
    Replay(usize),
    Cut(usize),
    Heal(usize),
    /// The clock moves on one step.
    Tick,
    /// The day ends.
    Midnight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Luck {
    IsAnswered,
    /// The row has applied it, and the pod does not hear of it.
    AnswerIsLost,
    NeverArrives,
}

impl Model for Settings {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.is_starved {
            return;
        }
        for (name, pod) in world.pods.iter().enumerate() {
            match pod.standing {
                Standing::Alive => self.actions_of(world, name, pod, actions),
                Standing::Dead => actions.push(Action::Replay(name)),
                Standing::Gone => {}
            }
        }
        if world.ticks < self.ticks {
            actions.push(Action::Tick);
        }
        if world.midnights < self.midnights {
            actions.push(Action::Midnight);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Ask(name, amount) => next.ask(self, name, amount),
            Action::Settle(name, held, spent) => next.settle(name, held, spent),
            Action::GiveUp(name) => next.give_up(name),
            Action::Flush(name, luck) => next.flush(self, name, luck)?,
            Action::Close(name, luck) => next.close(self, name, luck)?,
            Action::Crash(name) => next.crash(name),
            Action::Replay(name) => next.replay(self, name),
            Action::Cut(name) => next.cut(name),
            Action::Heal(name) => next.pods[name].is_cut = false,
            Action::Tick => next.tick(self),
            Action::Midnight => next.midnight(),
        }
        next.note_what_is_taken(world, action);
        next.note_who_is_covered();
        Some(next.in_one_order())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        claims::all(self)
    }
}

impl Settings {
    fn actions_of(&self, world: &World, name: usize, pod: &Pod, actions: &mut Vec<Action>) {
        if pod.wait.is_none() && world.asked < self.requests {
            actions.extend(self.estimates.iter().map(|&amount| Action::Ask(name, amount)));
        }
        let mut holds = pod.holds.clone();
        holds.dedup();
        for held in holds {
            let exact = if self.is_of_places() { 0 } else { held };
            actions.push(Action::Settle(name, held, exact));
            if world.wrong_estimates < self.wrong_estimates && !self.is_of_places() {
                actions.push(Action::Settle(name, held, held + 1));
                actions.push(Action::Settle(name, held, held - 1));
            }
        }
        if pod.wait.is_some() {
            actions.push(Action::GiveUp(name));
        }
        if !pod.is_cut {
            self.flushes_of(world, name, pod, actions);
        }
        if world.crashes < self.crashes {
            actions.push(Action::Crash(name));
        }
        if pod.is_cut {
            actions.push(Action::Heal(name));
        } else if world.cuts < self.cuts {
            actions.push(Action::Cut(name));
        }
    }

    fn flushes_of(&self, world: &World, name: usize, pod: &Pod, actions: &mut Vec<Action>) {
        let is_unused = pod.sent.is_none() && pod.holds.is_empty() && pod.wait.is_none();
        let all = [Luck::IsAnswered, Luck::AnswerIsLost, Luck::NeverArrives];
        let possible = if world.lost < self.lost { all.len() } else { 1 };
        for &luck in &all[..possible] {
            actions.push(Action::Flush(name, luck));
            if is_unused {
                actions.push(Action::Close(name, luck));
            }
        }
    }
}
