//! The explorations. Each is exhaustive, so what it finds holds for every order of events that its settings allow.

use e2e::cast::length::short_or_full;
use stateright::{Checker, HasDiscoveries, Model};

use super::settings::{Fault, Settings};
use crate::spend::Meter;

fn explore(settings: Settings) {
    let checker = settings.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    println!("{} states", checker.unique_state_count());
}

/// The claims that a machine with this fault breaks.
fn broken_by(fault: Fault, settings: Settings) -> Vec<&'static str> {
    let checker = settings.with(fault).checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let discoveries = checker.discoveries();
    let mut broken: Vec<&str> = discoveries.into_keys().filter(|name| !super::claims::is_of_some(name)).collect();
    broken.sort_unstable();
    broken
}

/// Requests of three beside a limit of four: two of them never fit at once.
fn of_three(meter: Meter) -> Settings {
    Settings { estimates: vec![3], requests: 2, ..Settings::of(meter) }
}

/// Requests of two: two fit, and a third waits.
fn of_two(meter: Meter) -> Settings {
    Settings { estimates: vec![2], requests: 3, ..Settings::of(meter) }
}

#[test]
fn two_pods_die_and_one_is_cut_off() {
    let unlimited = u8::MAX;
    explore(Settings { crashes: 2, cuts: 1, ticks: unlimited, ..of_three(Meter::TokensPerDay) });
    let ticks = short_or_full(2, unlimited);
    explore(Settings { crashes: 2, cuts: 1, ticks, ..of_two(Meter::TokensPerDay) });
}

#[test]
fn flushes_and_their_answers_are_lost() {
    let (cuts, ticks) = short_or_full((0, 2), (1, 3));
    explore(Settings { crashes: 1, lost: 1, cuts, ticks, ..of_three(Meter::TokensPerDay) });
}

#[test]
fn estimates_are_wrong_and_the_day_ends() {
    let (wrong_estimates, ticks) = short_or_full((1, 2), (2, 3));
    explore(Settings { crashes: 1, midnights: 1, wrong_estimates, ticks, ..of_three(Meter::TokensPerDay) });
}

#[test]
fn a_bucket_refills() {
    let (cuts, ticks) = short_or_full((0, 4), (1, 5));
    explore(Settings { crashes: 1, cuts, ticks, ..of_three(Meter::TokensPerMinute) });
}

#[test]
fn places_never_stick() {
    let (estimates, requests) = short_or_full((vec![1], u8::MAX), (vec![1, 2], 5));
    explore(Settings { estimates, requests, ..Settings::of(Meter::ConcurrentRequests) });
    let one_place = Settings { limit: 1, estimates: vec![1], requests: 3, ..Settings::of(Meter::ConcurrentRequests) };
    let (lost, ticks) = short_or_full((0, 2), (1, 3));
    explore(Settings { crashes: 2, cuts: 1, lost, ticks, ..one_place });
}

#[test]
fn places_survive_what_is_lost() {
    let (crashes, ticks) = short_or_full((0, 2), (1, 3));
    explore(Settings { crashes, lost: 1, ticks, ..of_three(Meter::ConcurrentRequests) });
}

#[test]
fn the_claims_break_where_the_machine_lacks_something() {
    let dying = || Settings { crashes: 2, cuts: 1, ticks: u8::MAX, ..of_three(Meter::TokensPerDay) };
    let losing = |meter| Settings { crashes: 1, lost: 1, ticks: 2, ..of_three(meter) };
    let waiting = |limit| Settings { limit, requests: 5, ..Settings::of(Meter::ConcurrentRequests) };
    for (fault, settings, claim) in [
        (Fault::HoldsOfTheDeadReturn, dying(), "what is used and held stays within the limit, but for what is excused"),
        (Fault::GrantsByAnOldSum, dying(), "shares and what is charged stay within the limit, but for what is excused"),
        (Fault::UsesTheWholeLeaseAndMore, dying(), "no pod takes more for granted than was granted to it"),
        (Fault::KeepsTheCharge, dying(), "everything counts exactly once, and what the dead held until they say"),
        (
            Fault::CountsTwice,
            losing(Meter::TokensPerDay),
            "everything counts exactly once, and what the dead held until they say",
        ),
        (
            Fault::RepeatsThePresent,
            Settings { crashes: 0, ..losing(Meter::ConcurrentRequests) },
            "shares and what is charged stay within the limit, but for what is excused",
        ),
        (
            Fault::GivesNothingBack,
            waiting(4),
            "nobody waits while idle shares and remainder cover the request, two flushes later",
        ),
        (
            Fault::GrantsParts,
            waiting(3),
            "nobody waits while idle shares and remainder cover the request, two flushes later",
        ),
    ] {
        let broken = broken_by(fault, settings);
        assert!(broken.contains(&claim), "{fault:?} breaks {broken:?}");
    }
}
