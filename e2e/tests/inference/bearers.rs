//! S1: bearers that do not hold: what they cost, and that nothing about them can be learnt from the answer.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use e2e::cast::{client::Client, length::short_or_full, ports::free_address, provider::Provider};
use serde_json::json;

use crate::stage::Stage;

const PATIENCE: Duration = Duration::from_secs(30);

fn altered(token: &str, place: usize) -> String {
    let mut bytes = token.as_bytes().to_vec();
    bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

/// One of each kind, from noise to what only the signature's last byte gives away.
fn bad(good: &str, others: &str) -> Vec<String> {
    let [header, payload, signature]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let encoded = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let signature_at = good.len() - signature.len();
    vec![
        "x".to_owned(),
        "x".repeat(good.len()),
        "..".to_owned(),
        "a.b.c".to_owned(),
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        good[..good.len() - 1].to_owned(),
        good[..good.len() / 2].to_owned(),
        format!("{good}A"),
        format!("{good}.{good}"),
        altered(good, signature_at),
        altered(good, good.len() - 2),
        altered(good, header.len() + 10),
        altered(good, 5),
        format!("{}.{payload}.", encoded(r#"{"alg":"none"}"#)),
        format!("{}.{payload}.{signature}", encoded(r#"{"alg":"HS256","typ":"JWT","kid":"../../etc/passwd"}"#)),
        format!("{header}.{}.{signature}", encoded(r#"{"sub":"alice","exp":9999999999}"#)),
        others.to_owned(),
        "9".repeat(8000),
    ]
}

fn request(method: &str, bearer: &str) -> String {
    format!("{method} /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {bearer}\r\n\r\n")
}

/// S1. What has expired or was revoked says so, as the protocol has it: only its owner can have it.
#[tokio::test]
async fn every_bad_bearer_gets_the_same_answer_to_the_letter() {
    let (stage, other) = (Stage::new().await, Stage::new().await);
    let mut raw = stage.raw().await;
    let mut answers = BTreeMap::new();
    for bearer in bad(&stage.tokens.access_token, &other.tokens.access_token) {
        raw.send(request("GET", &bearer)).await.unwrap();
        let (status, head, body) = raw.whole(PATIENCE).await.unwrap();
        assert_eq!(status, 401, "{bearer}");
        let id = head.lines().find_map(|line| line.strip_prefix("request-id: ")).unwrap().to_owned();
        let lines = head.lines().filter(|line| !line.starts_with("date: "));
        let head = lines.collect::<Vec<_>>().join("\n").replace(&id, "ID");
        let body = String::from_utf8(body).unwrap().replace(&id, "ID");
        answers.entry((head, body, id.len())).or_insert_with(Vec::new).push(bearer);
    }
    assert_eq!(answers.len(), 1, "{answers:#?}");
}

/// S1: they cost no statement, and good ones are served meanwhile.
#[tokio::test]
async fn a_flood_of_bad_bearers_costs_no_database_work() {
    const AT_ONCE: usize = 50;
    let flood = short_or_full(20_000, 100_000);
    let address = free_address().unwrap();
    let stage =
        Stage::with(vec![Provider::start().unwrap()], |config| config.set("/listen/metrics", json!(address))).await;
    let metrics = Client::new(&format!("http://{address}")).unwrap();
    let statements = async || -> u64 {
        let text = metrics.get("/metrics").send().await.unwrap().text().await.unwrap();
        let line =
            text.lines().find(|line| line.starts_with("claude_gateway_store_statements_total")).unwrap().to_owned();
        line.split(' ').nth(1).unwrap().parse().unwrap_or_else(|_| panic!("{line}"))
    };
    let good = &stage.tokens.access_token;
    let kinds = bad(good, "of another gateway");
    let mut raw = stage.raw().await;
    let (before, since) = (statements().await, Instant::now());
    for batch in 0..flood / AT_ONCE {
        let requests = (0..AT_ONCE).map(|n| {
            let bearer = &kinds[(batch * AT_ONCE + n) % kinds.len()];
            // A number in front of all but the shortest makes each a bearer that nobody has seen.
            request("HEAD", &if n % 2 == 0 { bearer.clone() } else { format!("{batch}-{n}{bearer}") })
        });
        raw.send(requests.collect::<String>()).await.unwrap();
        for _ in 0..AT_ONCE {
            let (status, head) = raw.head(PATIENCE).await.unwrap();
            assert_eq!(status, 401, "{head}");
        }
        if batch % 100 == 0 {
            assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
        }
    }
    let heartbeats = since.elapsed().as_secs() * 4 + 20;
    let spent = statements().await - before;
    assert!(
        spent <= heartbeats,
        "{spent} statements during {flood} bad bearers, where heartbeats make about {heartbeats}"
    );
}
