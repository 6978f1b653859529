//! What holds in every state, and what happens in some: a claim about what never happens would say nothing.

use stateright::Property;

use super::{
    Amount,
    pod::Standing,
    settings::Settings,
    world::{World, now},
};
use crate::spend::Period;

pub(super) fn all(settings: &Settings) -> Vec<Property<Settings>> {
    let mut claims = vec![
        Property::always("what is granted is the sum of the shares", |_, world: &World| {
            world.row.granted == world.row.leases.values().map(|lease| lease.granted).sum::<Amount>()
        }),
        Property::always(
            "shares and what is charged stay within the limit, but for what is excused",
            |_, world: &World| {
                let shares: Amount = world.row.leases.values().map(|lease| lease.granted).sum();
                shares + world.row.used <= world.row.limit + world.excuse
            },
        ),
        Property::always(
            "what is used and held stays within the limit, but for what is excused",
            |_, world: &World| {
                let held: Amount = world.pods.iter().flat_map(|pod| &pod.holds).sum();
                world.truth + held <= world.row.limit + world.excuse
            },
        ),
        Property::always("no pod takes more for granted than was granted to it", |_, world: &World| {
            world.pods.iter().enumerate().all(|(name, pod)| {
                let granted = world.lease(name).map_or(0, |lease| lease.granted);
                !pod.share.is_usable(now()) || pod.believed() <= granted
            })
        }),
        Property::always(
            "nobody waits while idle shares and remainder cover the request, two flushes later",
            |_, world: &World| !world.is_starved,
        ),
        Property::sometimes("it happens that a request waits while the limit is given out", |_, world: &World| {
            world.row.granted + world.row.used == world.row.limit && world.pods.iter().any(|pod| pod.wait.is_some())
        }),
    ];
    if !matches!(settings.meter.period(), Period::Minute) {
        claims.push(Property::always(
            "everything counts exactly once, and what the dead held until they say",
            |_, world: &World| world.row.used == counted(world),
        ));
    }
    if settings.crashes > 0 && !settings.is_of_places() {
        claims.push(Property::sometimes("it happens that what a dead pod held is charged", |_, world: &World| {
            world.pods.iter().enumerate().any(|(name, pod)| {
                pod.standing == Standing::Dead && world.lease(name).is_some_and(|lease| lease.charge.is_some())
            })
        }));
    }
    claims
}

/// What should be charged: the truth that a flush has told, and charges of this period.
fn counted(world: &World) -> Amount {
    let unsaid: Amount = world.pods.iter().map(|pod| pod.unsaid()).sum();
    let charges = world.row.leases.values().filter_map(|lease| lease.charge);
    let charged: Amount = charges.filter(|charge| charge.at >= world.row.since).map(|charge| charge.amount).sum();
    world.truth - unsaid + charged
}

/// The claim is that something happens, so what was found is no breach.
pub(super) fn is_of_some(name: &str) -> bool {
    name.starts_with("it happens that")
}
