//! P5 behind a load balancer that uses each connection to a pod for many clients: nobody's bytes become somebody else's
//! request or answer.

use e2e::cast::{
    client::{Client, Raw},
    load_balancer::LoadBalancer,
    ports::free_address,
    provider::{Provider, Shape},
};
use serde_json::{Value, json};

use crate::stage::{MODEL, Stage};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";

/// Where a request ends, said in two ways, or in one that is not everybody's.
fn corpus(stage: &Stage) -> Vec<String> {
    let framings = [
        "content-length: 5\r\ncontent-length: 43",
        "content-length: 4\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 4",
        "content-length: 4\r\ntransfer-encoding: xchunked",
        "content-length: 4\r\ntransfer-encoding: chunked, identity",
        "content-length: 4\r\ntransfer-encoding: chunked\r\ntransfer-encoding: cow",
        "content-length: 4\r\ntransfer-encoding : chunked",
        "content-length: 4\r\ntransfer-encoding:\x0bchunked",
        "content-length: 4\r\n transfer-encoding: chunked",
        "content-length: 4\r\nx: y\ntransfer-encoding: chunked",
        "content-length: 4\nx: y\n",
        "content-length: 4\rtransfer-encoding: chunked",
        "content-length: +4",
        "content-length: 4, 4",
        "content-length: 0x4",
        "content-length: 4\0",
        "content-length: 99999999999999999999999999",
        "connection: content-length\r\ncontent-length: 4",
        "upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\ncontent-length: 4",
        "expect: 100-continue\r\ncontent-length: 4",
    ];
    let bodies = [
        "0\r\n\r\n",
        "4\r\naaaa\r\n0\r\n\r\n",
        "4;x=\"\n\"\r\naaaa\r\n0\r\n\r\n",
        "00000000000000004\r\naaaa\r\n0\r\n\r\n",
    ];
    let request = |framing: &str, body: &str| format!("{}\r\n{body}{SMUGGLED}", stage.head(framing));
    framings.iter().flat_map(|framing| bodies.map(|body| request(framing, body))).collect()
}

/// P5
#[tokio::test]
async fn no_framing_makes_one_clients_bytes_anothers_request() {
    let provider = Provider::builder().start().unwrap();
    let public = free_address().unwrap();
    let stage = Stage::with(vec![provider], |config| config.set("/listen/trusted_proxies", json!(["127.0.0.1"]))).await;
    let balancer = LoadBalancer::start(public, &[stage.gateway.port()]).await.unwrap();
    let others = Client::new(balancer.url()).unwrap().with_bearer(&stage.tokens.access_token);
    for (n, request) in corpus(&stage).into_iter().enumerate() {
        let mut raw = Raw::connect(public).await.unwrap();
        let _ = raw.send(&request).await;
        // Somebody who comes right behind gets the answer to their own question.
        for _ in 0..2 {
            let shape = Shape::Json { bytes: 100 + n };
            let order = json!({"model": MODEL, "metadata": {"user_id": shape.order()}, "messages": []});
            let answer = others.post("/v1/messages").json(&order).send().await.unwrap();
            assert_eq!(answer.status, 200, "after {request:?}");
            assert_eq!(answer.json::<Value>().await.unwrap(), shape.message().json(), "after {request:?}");
        }
        drop(raw);
    }
    assert!(balancer.counts().await.unwrap().reused > 0, "connections were kept");
}
