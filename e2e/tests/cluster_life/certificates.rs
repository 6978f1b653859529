//! E3: a rotated certificate is served without a restart, and streams go on.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Result;
use aws_lc_rs::digest::{SHA256, digest};
use e2e::{
    cast::{
        client::Client,
        load::{begin_stream, to_the_last_byte},
        patience::eventually_within,
        provider::Shape,
    },
    cluster::{
        Pod,
        sample::{self, GATEWAY, NAMESPACE, Sample, TLS, Values},
    },
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::stage::{DIRECT_HOST, HOST, REPLICAS, Stage, patience, turn};

/// Longer than a rotation takes, a kubelet's look at its Secrets included.
const LONG: Shape = Shape::Stream { deltas: 120, every_ms: 250 };
const STREAMS: usize = 10;
const BOUND: Duration = Duration::from_secs(60);

/// The namespace of a gateway that ends TLS itself.
const DIRECT: &str = "direct";

#[tokio::test]
async fn e3_the_ingress_serves_a_rotated_certificate_and_the_status_tells_it() {
    let test = "e3_the_ingress_serves_a_rotated_certificate_and_the_status_tells_it";
    let Some(turn) = turn(test).await else { return };
    let stage = turn.stage;
    stage.until_pods(REPLICAS).await;
    rotate(stage, NAMESPACE, HOST, &stage.client().await).await;
}

#[tokio::test]
async fn e3_a_pod_that_ends_tls_itself_serves_a_rotated_certificate() {
    let Some(turn) = turn("e3_a_pod_that_ends_tls_itself_serves_a_rotated_certificate").await else { return };
    let stage = turn.stage;
    let client = direct_gateway(stage, DIRECT).await.unwrap();
    rotate(stage, DIRECT, DIRECT_HOST, &client).await;
    stage.kubectl().run(&format!("delete namespace {DIRECT} --wait=false")).await.unwrap();
}

/// Another certificate in the Secret, while streams run.
async fn rotate(stage: &Stage, namespace: &str, host: &str, client: &Client) {
    let pods = Pod::all_of(stage.kubectl(), namespace, GATEWAY).await.unwrap();
    let before = client.handshake(&["http/1.1"]).await.unwrap().certificate;
    let mut streams = JoinSet::new();
    for _ in 0..STREAMS {
        let mut stream = begin_stream(client, LONG).await.unwrap();
        stream.next().await.unwrap().unwrap();
        streams.spawn(to_the_last_byte(stream, LONG));
    }
    let leaf = stage.surroundings.front.certificate(host).unwrap();
    stage.kubectl().apply_in(namespace, &sample::tls(&leaf).to_string()).await.unwrap();
    let since = Instant::now();
    let mut served = before.clone();
    eventually_within(patience(), "another certificate", async || {
        stage.surroundings.front.follow().await.unwrap();
        served = client.handshake(&["http/1.1"]).await.unwrap().certificate;
        served != before
    })
    .await;
    let taken = since.elapsed();
    assert!(taken < BOUND, "{taken:?}");
    let fingerprint: Vec<_> = digest(&SHA256, &served).as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    eventually_within(patience(), "the status has its fingerprint", async || {
        let gateway = stage.kubectl().get(&format!("claudegateway {GATEWAY} -n {namespace}")).await.unwrap();
        gateway["status"]["tlsSha256"] == fingerprint.join(":")
    })
    .await;
    println!("{host}: another certificate after {taken:.1?}");
    assert!(streams.len() == STREAMS && streams.try_join_next().is_none(), "the streams ended before");
    for end in streams.join_all().await {
        end.unwrap();
    }
    assert_eq!(Pod::all_of(stage.kubectl(), namespace, GATEWAY).await.unwrap(), pods, "none was replaced or restarted");
}

/// One pod, nothing in front of it but its Service; Alice has signed in there.
pub(crate) async fn direct_gateway(stage: &Stage, namespace: &str) -> Result<Client> {
    let (kubectl, surroundings) = (stage.kubectl(), &stage.surroundings);
    kubectl.run(&format!("create namespace {namespace}")).await?;
    let mut sample = Sample::with(&Values::of(surroundings, DIRECT_HOST).await?)?;
    let spec = &mut sample.object("ClaudeGateway")["spec"];
    spec["replicas"] = json!(1);
    spec["exposure"] = json!({"kind": "None", "tls": {"secretRef": {"name": TLS}}});
    sample.apply(kubectl, namespace).await?;
    sample::until_ready(kubectl, namespace, GATEWAY).await?;
    let service = kubectl.get(&format!("service {GATEWAY} -n {namespace}")).await?;
    let address: SocketAddr = format!("{}:443", service["spec"]["clusterIP"].as_str().unwrap()).parse()?;
    let tokens = surroundings.sign_in_at(DIRECT_HOST, address, "alice").await?;
    Ok(surroundings.front.client(DIRECT_HOST)?.connecting_to(address).with_bearer(&tokens.access_token))
}
