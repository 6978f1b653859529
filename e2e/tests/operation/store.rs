//! A store that is away, slow or full: inference goes on, and who needs the store is told soon.

use std::time::{Duration, Instant};

use e2e::cast::{
    client::Client,
    length::short_or_full,
    openid::{Behaviour, OpenIdProvider},
    patience::eventually,
    postgres::{Postgres, pool},
    provider::Provider,
    signin::sign_in,
    stage::Stage,
};
use serde_json::json;

/// Two seconds for the store, and room for a busy machine.
const SOON: Duration = Duration::from_secs(6);

/// How a new sign-in is answered, and how soon.
async fn begin(client: &Client) -> (u16, Option<String>, Duration) {
    let since = Instant::now();
    let form = [("surface", "claude_code")];
    let answer = client.post("/oauth/device_authorization").form(&form).send().await.unwrap();
    (answer.status, answer.header("retry-after").map(str::to_owned), since.elapsed())
}

async fn infer_at_once(stage: &Stage) {
    let since = Instant::now();
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    // Who waits for the store waits for two seconds.
    assert!(since.elapsed() < Duration::from_millis(1900), "inference waited {:?}", since.elapsed());
}

/// R9
#[tokio::test]
async fn an_exhausted_pool_sheds_and_recovers() {
    const CALLERS: usize = 20;
    for connections in [1, 2] {
        let stage = Stage::with(vec![Provider::start().unwrap()], |config| {
            config
                .set("/store/max_connections", json!(connections))
                .set("/rate_limits/device_authorization/max", json!(10_000))
        })
        .await;
        let database = stage.gateway.setting("/store/postgres_url").as_str().unwrap().to_owned();
        let pool = pool(&database).await.unwrap();
        let mut held = pool.begin().await.unwrap();
        sqlx::query("LOCK TABLE claude_gateway.device_grant IN ACCESS EXCLUSIVE MODE")
            .execute(&mut *held)
            .await
            .unwrap();
        let client = stage.gateway.client().unwrap();
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { begin(&client).await })
            })
            .collect();
        infer_at_once(&stage).await;
        for caller in callers {
            let (status, retry_after, waited) = caller.await.unwrap();
            assert_eq!(status, 503, "with {connections}");
            assert!(retry_after.is_some() && waited < SOON, "{waited:?}");
        }
        infer_at_once(&stage).await;
        held.rollback().await.unwrap();
        let since = Instant::now();
        eventually("sign-ins begin again", async || begin(&client).await.0 == 200).await;
        assert!(since.elapsed() < SOON, "recovered after {:?}", since.elapsed());
        sign_in(&stage.gateway, "bob").await.unwrap();
        pool.close().await;
    }
}

/// R6
#[tokio::test]
async fn a_store_that_hangs_stalls_nobody_who_does_not_need_it() {
    let own = Postgres::start().await.unwrap();
    let database = own.database().await.unwrap();
    let stage = Stage::with(vec![Provider::start().unwrap()], |config| {
        config.store(&database).set("/rate_limits/device_authorization/max", json!(10_000))
    })
    .await;
    let client = stage.gateway.client().unwrap();
    own.pause().unwrap();
    let (since, outage) = (Instant::now(), short_or_full(Duration::ZERO, Duration::from_secs(60)));
    let mut asked = 0;
    while asked < 5 || since.elapsed() < outage {
        asked += 1;
        let (asked, ()) = tokio::join!(begin(&client), infer_at_once(&stage));
        assert!(asked.0 == 503 && asked.1.is_some() && asked.2 < SOON, "{asked:?}");
    }
    let refreshed = stage.tokens.refresh(&client).await.unwrap();
    assert_ne!(refreshed.access_token, stage.tokens.access_token, "sessions go on");
    own.resume().unwrap();
    let since = Instant::now();
    eventually("sign-ins begin again", async || begin(&client).await.0 == 200).await;
    assert!(since.elapsed() < 2 * SOON, "recovered after {:?}", since.elapsed());
    sign_in(&stage.gateway, "bob").await.unwrap();
}

#[tokio::test]
async fn readiness_follows_the_store_as_the_operator_said() {
    let own = Postgres::start().await.unwrap();
    let identity = OpenIdProvider::start(Behaviour::default()).await;
    let grace: u64 = short_or_full(4, 30);
    let mut gateways = Vec::new();
    for (readiness, seconds) in [("strict", 0), ("strict", grace), ("strict", 3600), ("booted", 0)] {
        let config = Stage::config(&identity, &own.database().await.unwrap(), &[Provider::start().unwrap()]).unwrap();
        let config =
            config.set("/store/readiness", json!(readiness)).set("/store/readiness_grace_seconds", json!(seconds));
        gateways.push(config.start().await.unwrap());
    }
    let ready = async |n: usize| gateways[n].client().unwrap().get("/readyz").send().await.unwrap().status == 200;
    // From before: a server that is stopping has closed its connections already.
    let since = Instant::now();
    own.stop().await.unwrap();
    eventually("strict and without a grace", async || !ready(0).await).await;
    if since.elapsed() < Duration::from_secs(grace - 1) {
        assert!(ready(1).await, "its grace is not over");
    }
    tokio::time::sleep(Duration::from_secs(grace).saturating_sub(since.elapsed() + Duration::from_secs(2))).await;
    eventually("strict, after its grace", async || !ready(1).await).await;
    assert!(since.elapsed() >= Duration::from_secs(grace), "gone after {:?}", since.elapsed());
    assert!(ready(2).await && ready(3).await);
    let health = gateways[0].client().unwrap().get("/healthz").send().await.unwrap();
    assert_eq!(health.status, 200, "a store that is away is no reason to be restarted");
    own.start_again().await.unwrap();
    for n in 0..gateways.len() {
        eventually("ready again", async || ready(n).await).await;
    }
}
