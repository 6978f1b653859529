//! A process that is killed takes what it served with it, and nothing else.

use std::time::Instant;

use anyhow::Result;
use e2e::{
    cast::{
        client::Client,
        length::short_or_full,
        load::{begin_stream, to_the_last_byte},
        patience::eventually_within,
        provider::Shape,
    },
    cluster::Pod,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{sync::watch, task::JoinSet};

use crate::stage::{REPLICAS, patience, turn};

const STREAMS: usize = 100;

fn shape() -> Shape {
    Shape::Stream { deltas: short_or_full(60, 240), every_ms: 250 }
}

/// R1, in a pod.
#[tokio::test]
async fn a_pod_killed_with_9_breaks_its_own_streams_only() {
    let Some(turn) = turn("a_pod_killed_with_9_breaks_its_own_streams_only").await else { return };
    let stage = turn.stage;
    stage.until_pods(REPLICAS).await;
    let before = stage.pods().await;
    let client = stage.client().await;
    let (begun, mut all_begun) = watch::channel(0);
    let streams: JoinSet<Result<()>> = (0..STREAMS).map(|_| whole(client.clone(), begun.clone())).collect();
    all_begun.wait_for(|count| *count == STREAMS).await.unwrap();

    let served = async |pod: &Pod| pod.metric("requests_in_flight").await.unwrap() as usize;
    let counts = [served(&before[0]).await, served(&before[1]).await, served(&before[2]).await];
    assert_eq!(counts.iter().sum::<usize>(), STREAMS, "{counts:?}");
    let process = Pid::from_raw(before[0].process().unwrap()).unwrap();
    kill_process(process, Signal::KILL).unwrap();
    let killed = Instant::now();

    let ends = streams.join_all().await;
    let broken: Vec<_> = ends.iter().filter_map(|end| end.as_ref().err()).collect();
    assert_eq!(broken.len(), counts[0], "of {counts:?}: {:#?}", broken.first());
    eventually_within(patience(), "it runs again", async || {
        let pods = stage.pods().await;
        let restarts = |pod: &Pod| pods.iter().find(|now| now.uid == pod.uid).map(|now| now.restarts - pod.restarts);
        before.iter().map(restarts).collect::<Vec<_>>() == [Some(1), Some(0), Some(0)]
    })
    .await;
    stage.until_pods(REPLICAS).await;
    println!(
        "{} of {STREAMS} streams broke, all of one pod; it serves again {:.0?} later",
        counts[0],
        killed.elapsed()
    );
}

async fn whole(client: Client, begun: watch::Sender<usize>) -> Result<()> {
    let mut stream = begin_stream(&client, shape()).await?;
    stream.next().await?;
    begun.send_modify(|count| *count += 1);
    to_the_last_byte(stream, shape()).await
}
