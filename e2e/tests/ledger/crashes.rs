//! Somebody kills a gateway every second, crashes Postgres, and cuts answers after their commit.

use std::time::{Duration, Instant};

use crate::{
    fleet::{Fleet, PODS},
    traffic::{Traffic, mistakes},
};

/// Kills in one run.
const KILLS: usize = 6;
const BETWEEN_KILLS: Duration = Duration::from_secs(1);

fn runs() -> usize {
    if std::env::var_os("GATEWAY_TEST_FULL_LENGTH").is_some() { 20 } else { 1 }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reply_counts_once_whoever_is_killed() {
    let mut fleet = Fleet::start().await;
    let (mut replies, mut runs_left) = (Vec::new(), runs());
    while runs_left > 0 {
        runs_left -= 1;
        let traffic = Traffic::begin(&fleet);
        run(&mut fleet).await;
        replies.extend(traffic.end().await);
        fleet.wire.cut_no_more();
        fleet.settle().await;
        let mistakes = mistakes(&replies, &fleet.told().await);
        assert!(mistakes.is_empty(), "{} of {}: {mistakes:#?}", mistakes.len(), replies.len());
    }
    let (whole, cut) =
        (replies.iter().filter(|one| one.is_whole()).count(), replies.iter().filter(|one| one.is_cut()).count());
    println!("{} replies, {whole} whole, {cut} cut; {} answers of Postgres lost", replies.len(), fleet.wire.cuts());
    assert!(whole > 50 * runs() && cut > 0 && fleet.wire.cuts() > 0, "something was going on");
    let told = fleet.end().await;
    let mistakes = mistakes(&replies, &told);
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    let charged = told.charged_otherwise();
    assert!(charged.is_empty(), "{} of {}: {charged:#?}", charged.len(), told.limited());
    let people = told.people().count();
    assert!(told.limited() > people - people / 10, "{} of {people} have a limit", told.limited());
}

/// A kill each second; an answer is lost before each, and in the middle Postgres crashes too.
async fn run(fleet: &mut Fleet) {
    for kill in 0..KILLS {
        let since = Instant::now();
        tokio::time::sleep(BETWEEN_KILLS / 4).await;
        fleet.wire.cut_next();
        tokio::time::sleep(BETWEEN_KILLS / 2).await;
        let Fleet { pods, postgres, .. } = fleet;
        let killed = pods[kill % PODS].kill_and_restart();
        if kill == KILLS / 2 {
            let ((), crashed) = tokio::join!(killed, postgres.restart_immediate());
            crashed.unwrap();
        } else {
            killed.await;
        }
        tokio::time::sleep(BETWEEN_KILLS.saturating_sub(since.elapsed())).await;
    }
}
