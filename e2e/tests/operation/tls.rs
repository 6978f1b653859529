//! The listener's certificate: agreed protocols, and files that change under it.

use std::{path::PathBuf, time::Duration};

use e2e::cast::{
    certificate::Leaf,
    client::Http2,
    patience::eventually,
    provider::{Message, Provider, Reply},
    stage::{MODEL, Stage},
};

async fn secured() -> Stage {
    Stage::with(vec![Provider::start().unwrap()], |config| config.tls().unwrap()).await
}

fn files(stage: &Stage) -> (PathBuf, PathBuf) {
    let home = stage.gateway.home();
    (home.join("tls.crt"), home.join("tls.key"))
}

fn new_leaf(stage: &Stage) -> Leaf {
    stage.gateway.authority().unwrap().loopback_leaf().unwrap()
}

#[tokio::test]
async fn both_versions_of_http_are_offered_over_tls() {
    let stage = secured().await;
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let handshake = stage.client.handshake(offered).await.unwrap();
        assert_eq!(handshake.protocol.as_deref(), agreed, "{offered:?}");
    }
    assert!(stage.client.handshake(&["spdy/3"]).await.is_err(), "no protocol in common is no connection");
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
}

/// R26
#[tokio::test]
async fn a_new_certificate_is_served_without_a_restart_and_open_streams_go_on() {
    let stage = secured().await;
    let (cert, key) = files(&stage);
    let pid = stage.gateway.pid().unwrap();
    let before = stage.client.handshake(&["http/1.1"]).await.unwrap().certificate;
    let http2 = Http2::connect(&stage.client).await.unwrap();
    let slow = || Reply::stream(&Message::new(MODEL).deltas(80)).every(Duration::from_millis(100));
    stage.provider().then(slow()).then(slow());
    let mut streams = [
        stage.ask(&Stage::prompt(true)).send().await.unwrap().events(),
        stage.ask(&Stage::prompt(true)).send_on(&http2).await.unwrap().events(),
    ];
    for stream in &mut streams {
        stream.next().await.unwrap().unwrap();
    }
    let leaf = new_leaf(&stage);
    std::fs::write(key, leaf.key_pem).unwrap();
    std::fs::write(cert, leaf.certificate_pem).unwrap();
    eventually("another certificate", async || {
        stage.client.handshake(&["http/1.1"]).await.unwrap().certificate != before
    })
    .await;
    for mut stream in streams {
        assert_eq!(stream.rest().await.unwrap().last().unwrap().name, "message_stop");
    }
    assert_eq!(stage.gateway.pid().unwrap(), pid);
}

#[tokio::test]
async fn a_pair_that_does_not_match_keeps_the_old_one_and_is_told() {
    let stage = secured().await;
    let (cert, key) = files(&stage);
    let before = stage.client.handshake(&[]).await.unwrap().certificate;
    let leaf = new_leaf(&stage);
    std::fs::write(cert, leaf.certificate_pem).unwrap();
    let line = stage.gateway.wait_for_line("the change was not taken over").await.unwrap();
    assert!(line.contains("listen.tls") && line.contains("do not belong together"), "{line}");
    assert_eq!(stage.client.handshake(&[]).await.unwrap().certificate, before);
    let told = stage.gateway.wait_for_audit("config.load", 1).await.unwrap();
    assert_eq!((&told[0]["outcome"], &told[0]["not_taken"][0]), (&"incomplete".into(), &"listen.tls".into()));
    // The other half comes later, as it does where files are copied one by one.
    std::fs::write(key, leaf.key_pem).unwrap();
    eventually("the new pair", async || stage.client.handshake(&[]).await.unwrap().certificate != before).await;
}
