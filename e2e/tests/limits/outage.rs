//! What limits do when something that they rest on is away: the table of `docs/limits.md`, a test for each row (S24).

use std::time::{Duration, Instant};

use e2e::cast::{
    client::Client,
    fleet::{Fleet, metric},
    gateway::Config,
    postgres::Postgres,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    eventually,
    person::{PERSON, Refusal, Turn, limited, limited_on, of_person, with_limits},
};

/// A pod uses its share so long after its last flush.
const USABLE: Duration = Duration::from_secs(7);
/// A share that nobody uses is closed.
const UNUSED: Duration = Duration::from_secs(10);

struct Outage {
    postgres: Postgres,
    fleet: Fleet,
    /// Far from the limit.
    easy: Client,
    /// Over the limit.
    over: Client,
}

/// One pod, whose store is gone from now on.
async fn outage(fail_closed: bool) -> Outage {
    let postgres = Postgres::start().await.unwrap();
    let change = |config: Config| {
        with_limits(config, json!({"tokens_per_day": 20_000}))
            .set("/enforcement/fail_closed_on_error", json!(fail_closed))
            .set("/oidc/clock_skew_seconds", json!(5))
    };
    let (fleet, easy) = limited_on(&postgres, 1, change).await;
    let over = of_person(&fleet, "somebody-over").await;
    assert_eq!(Turn::of(100, 10).take(&easy[0]).await, 200);
    assert_eq!(Turn::of(19_500, 500).take(&over[0]).await, 200);
    assert_eq!(Turn::of(100, 10).ask(&over[0]).await.status, 429);
    // What was used is flushed.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    postgres.stop().await.unwrap();
    Outage { postgres, fleet, easy: easy[0].clone(), over: over[0].clone() }
}

impl Outage {
    async fn number(&self, name: &str) -> f64 {
        metric(&self.fleet.pods[0], name).await.unwrap()
    }

    async fn after_the_lease(&self) {
        let gone = async || self.number("store_reachable").await == 0.0;
        eventually("the pod has noticed", gone).await;
        tokio::time::sleep(USABLE).await;
    }

    async fn end(&self) {
        self.postgres.start_again().await.unwrap();
        eventually("the store is back", async || self.number("store_reachable").await == 1.0).await;
        eventually("limits hold again", async || {
            Turn::of(100, 10).take(&self.easy).await == 200 && self.number("limits_held").await == 1.0
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_lease_lasts_the_share_holds() {
    for fail_closed in [false, true] {
        let outage = outage(fail_closed).await;
        let since = Instant::now();
        let status = Turn::of(100, 10).take(&outage.easy).await;
        if since.elapsed() < Duration::from_secs(3) {
            assert_eq!(status, 200, "fail_closed_on_error: {fail_closed}");
            assert_eq!(Turn::of(100, 10).ask(&outage.over).await.status, 429);
            assert_eq!((outage.number("limits_held").await, outage.number("limits_unchecked_total").await), (1.0, 0.0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_it_people_pass_and_are_counted_and_who_was_over_stays_refused() {
    let outage = outage(false).await;
    outage.after_the_lease().await;
    for _ in 0..3 {
        let since = Instant::now();
        assert_eq!(Turn::of(10_000, 100).take(&outage.easy).await, 200, "also past the limit");
        assert!(since.elapsed() < Duration::from_secs(2), "nobody waits for a store that is away");
    }
    assert_eq!((outage.number("limits_held").await, outage.number("limits_unchecked_total").await), (0.0, 3.0));
    let refusal = Turn::of(100, 10).refused(&outage.over).await;
    assert_eq!((refusal.status, refusal.kind.as_str()), (429, "rate_limit_error"));
    assert!(refusal.message.contains("tokens_per_day) is reached") && refusal.retry_after.is_some());
    outage.postgres.start_again().await.unwrap();
    eventually("what was used counts", async || Turn::of(10, 10).ask(&outage.easy).await.status == 429).await;
    eventually("limits hold again", async || outage.number("limits_held").await == 1.0).await;
}

/// Each replica by what the store told it last: it remembers until the period ends, also when its share is long closed.
#[tokio::test(flavor = "multi_thread")]
async fn every_replica_that_was_told_refuses_who_was_over_and_one_that_was_not_counts_them() {
    let postgres = Postgres::start().await.unwrap();
    let change = |config: Config| {
        with_limits(config, json!({"tokens_per_day": 20_000})).set("/oidc/clock_skew_seconds", json!(5))
    };
    let (fleet, clients) = limited_on(&postgres, 3, change).await;
    assert_eq!(Turn::of(19_500, 500).take(&clients[0]).await, 200);
    // What was used is flushed; then another replica is told, by its own request.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(Turn::of(100, 10).ask(&clients[1]).await.status, 429);
    tokio::time::sleep(UNUSED + Duration::from_secs(2)).await;
    postgres.stop().await.unwrap();
    for pod in &fleet.pods {
        eventually("the pod has noticed", async || metric(pod, "store_reachable").await.unwrap() == 0.0).await;
    }
    tokio::time::sleep(USABLE).await;
    for client in &clients[..2] {
        assert_eq!(Turn::of(100, 10).ask(client).await.status, 429, "it was told");
    }
    assert_eq!(Turn::of(100, 10).take(&clients[2]).await, 200, "it never met them");
    assert_eq!(metric(&fleet.pods[2], "limits_unchecked_total").await.unwrap(), 1.0);
    assert_eq!(metric(&fleet.pods[2], "limits_held").await.unwrap(), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_it_nobody_passes_where_the_operator_says_so() {
    let outage = outage(true).await;
    outage.after_the_lease().await;
    let refusal: Refusal = Turn::of(100, 10).refused(&outage.easy).await;
    assert_eq!((refusal.status, refusal.kind.as_str()), (429, "rate_limit_error"));
    assert_eq!((refusal.should_retry.as_deref(), refusal.retry_after), (Some("false"), None));
    assert!(refusal.message.starts_with("your limit of 20000 tokens per day (tokens_per_day) cannot be checked"));
    let stranger = of_unlimited(&outage.fleet).await;
    assert_eq!(Turn::of(100, 10).take(&stranger).await, 429, "everybody has this limit");
    assert_eq!((outage.number("limits_held").await, outage.number("limits_unchecked_total").await), (1.0, 0.0));
    outage.end().await;
}

/// Somebody whom this pod has never seen. Signing in needs the store, so the token is of before.
async fn of_unlimited(fleet: &Fleet) -> Client {
    let secret = e2e::cast::people::People::from_token(&fleet.pods[0], &fleet.tokens.access_token).unwrap();
    fleet.clients_with(&secret.bearer("never-seen"))[0].clone()
}

/// A store that answers nothing is no better than one that is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_delays_a_first_request_by_a_moment_only() {
    let postgres = Postgres::start().await.unwrap();
    let (fleet, _) = limited_on(&postgres, 1, |config| with_limits(config, json!({"tokens_per_day": 20_000}))).await;
    let stranger = of_unlimited(&fleet).await;
    postgres.pause().unwrap();
    let since = Instant::now();
    assert_eq!(Turn::of(100, 10).take(&stranger).await, 200);
    assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
    postgres.resume().unwrap();
}

/// The identity provider is not asked by a request: sessions that are go on, and so do their limits.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_identity_provider_limits_hold_as_before() {
    let (fleet, clients) = limited(1, json!({"tokens_per_day": 2_000})).await;
    let Fleet { pods, provider: _provider, identity, .. } = fleet;
    drop(identity);
    assert_eq!(Turn::of(1_500, 100).take(&clients[0]).await, 200);
    assert_eq!(Turn::of(1_500, 100).ask(&clients[0]).await.status, 429);
    drop(pods);
}

/// Policies from rows: the limits that were last read stay.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_policies_rows_the_limits_last_read_hold() {
    let postgres = Postgres::start().await.unwrap();
    let (fleet, _) = limited_on(&postgres, 1, |config| config.set("/managed/source", json!("store"))).await;
    let rows = e2e::cast::policies::PolicyRows::open(&fleet.database).await.unwrap();
    let everybody = json!({"match": {}, "limits": {"max_output_tokens": 32}});
    rows.replace(&[("everybody", everybody)]).await.unwrap();
    let clients = of_person(&fleet, PERSON).await;
    eventually("the limit holds", async || Turn::of(10, 33).ask(&clients[0]).await.status == 400).await;
    postgres.stop().await.unwrap();
    eventually("the pod has noticed", async || metric(&fleet.pods[0], "store_reachable").await.unwrap() == 0.0).await;
    assert_eq!(Turn::of(10, 33).ask(&clients[0]).await.status, 400);
    assert_eq!(Turn::of(10, 32).take(&clients[0]).await, 200);
}

/// A journal that cannot be written: limits hold, usage is counted in memory and flushed, and the metrics say what a kill
/// would cost.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_journal_limits_hold_and_the_pod_says_what_is_missing() {
    let nowhere: Value = json!("/proc/no-such-place");
    let change =
        |config: Config| with_limits(config, json!({"tokens_per_day": 2_000})).set("/store/journal_dir", nowhere);
    let (fleet, clients) = limited_on(Postgres::shared().await.unwrap(), 1, change).await;
    assert_eq!(Turn::of(1_500, 100).take(&clients[0]).await, 200);
    assert_eq!(Turn::of(1_500, 100).ask(&clients[0]).await.status, 429);
    assert_eq!(metric(&fleet.pods[0], "ledger_in_journal").await.unwrap(), 0.0);
    eventually("it is flushed", async || metric(&fleet.pods[0], "ledger_unflushed_keys").await.unwrap() == 0.0).await;
}

/// A pod for which time stood still: what it held is others' by now, and it knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_slept_past_its_lease_does_not_use_its_old_share() {
    let (fleet, clients) = limited(2, json!({"tokens_per_day": 20_000})).await;
    assert_eq!(Turn::of(100, 10).take(&clients[0]).await, 200, "it has a share now");
    fleet.pods[0].signal(Signal::STOP).unwrap();
    // Past its lease all is the other pod's.
    eventually("the other pod has all of it", async || {
        let status = Turn::of(19_000, 100).take(&clients[1]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        status == 200
    })
    .await;
    fleet.pods[0].signal(Signal::CONT).unwrap();
    assert_eq!(Turn::of(1_500, 100).ask(&clients[0]).await.status, 429);
}
