//! The store is away: who is signed in goes on, who is not is told to wait, and afterwards everything fits.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use e2e::cast::{
    openid::{Behaviour, Misbehaviour},
    postgres::{self, Postgres},
};
use gateway::session::BearerRefusal;

use crate::{
    browser::{Browser, signed_in},
    stage::{Pod, Script, Stage},
};

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn notices(pod: &Pod, reachable: bool) {
    until("the pod notices", || pod.store.health().is_reachable() == reachable).await;
}

async fn generation(stage: &Stage) -> i64 {
    let pool = postgres::pool(&stage.database).await.unwrap();
    let generation = format!("SELECT max(generation) FROM {}.session", stage.schema);
    sqlx::query_scalar(sqlx::AssertSqlSafe(generation)).fetch_one(&pool).await.unwrap()
}

/// A store of its own, pods on it, and Alice, who signed in at the first of them.
struct Scene {
    pods: Vec<Pod>,
    access: String,
    refresh: String,
    stage: Stage,
    postgres: Postgres,
}

impl Scene {
    async fn set(pods: usize) -> Self {
        Self::with(pods, Behaviour::default(), |_| {}).await
    }

    async fn with(pods: usize, behaviour: Behaviour, change: impl FnOnce(&mut Script)) -> Self {
        let postgres = Postgres::start().await.unwrap();
        let stage = Stage::on(&postgres, behaviour).await.scripted(change);
        let pods = stage.pods(pods).await;
        let (access, refresh) = signed_in(&stage, &pods[0]).await;
        Self { pods, access, refresh, stage, postgres }
    }

    /// Until every pod has noticed.
    async fn the_store_goes_away(&self) {
        self.postgres.stop().await.unwrap();
        for pod in &self.pods {
            notices(pod, false).await;
        }
    }

    async fn the_store_comes_back(&self) {
        self.postgres.start_again().await.unwrap();
        for pod in &self.pods {
            notices(pod, true).await;
        }
    }
}

/// Catalogue R5.
#[tokio::test]
async fn sessions_refresh_and_sign_ins_wait_while_the_store_is_away() {
    let Scene { pods, access, refresh, stage, postgres } = Scene::set(1).await;
    let pod = &pods[0];
    let (revoked, _) = signed_in(&stage, pod).await;
    pod.post("/oauth/revoke", &[("token", &revoked)]).await;
    let (device_code, user_code) = pod.start().await;
    let mut browser = Browser::new();
    let departed = browser.depart(pod, &user_code).await;
    postgres.stop().await.unwrap();

    assert!(pod.verifier.admit(&access).is_ok());
    assert_eq!(pod.verifier.admit(&revoked), Err(BearerRefusal::Revoked), "a known revocation holds");
    pod.post("/oauth/device_authorization", &[]).await.refused(503, "temporarily_unavailable");
    pod.poll(&device_code).await.refused(503, "temporarily_unavailable");
    pod.post("/oauth/revoke", &[("token", &access)]).await.refused(503, "temporarily_unavailable");
    let page = browser.come_back(&stage, pod, &departed, "alice").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.header("retry-after").is_some() && page.body.contains("Sign-in is not available now"));
    let page = Browser::new().enter(pod, &user_code).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);

    notices(pod, false).await;
    let (access, second) = pod.refresh(&refresh).await.tokens();
    assert!(pod.verifier.admit(&access).is_ok());
    assert_eq!(pod.refresh(&refresh).await.tokens().1, second, "a lost reply is made good here too");
    let (_, third) = pod.refresh(&second).await.tokens();
    let began = Instant::now();
    pod.post("/oauth/device_authorization", &[]).await.refused(503, "temporarily_unavailable");
    assert!(began.elapsed() < Duration::from_secs(1), "nobody waits for a store that is known to be away");

    postgres.start_again().await.unwrap();
    notices(pod, true).await;
    let (_, fourth) = pod.refresh(&third).await.tokens();
    assert_eq!(generation(&stage).await, 4);
    pod.refresh(&fourth).await.tokens();
    pod.start().await;
}

#[tokio::test]
async fn what_was_renewed_during_an_outage_is_known_to_the_others_after_it() {
    let scene = Scene::set(2).await;
    let Scene { pods, refresh: first, stage, postgres, .. } = &scene;
    scene.the_store_goes_away().await;
    let (_, second) = pods[0].refresh(first).await.tokens();
    postgres.start_again().await.unwrap();
    // Whether or not the first pod has told the store by now, the second takes the newer token for what it is.
    notices(&pods[1], true).await;
    let (_, third) = pods[1].refresh(&second).await.tokens();
    notices(&pods[0], true).await;
    let (_, fourth) = pods[0].refresh(&third).await.tokens();
    pods[1].refresh(&fourth).await.tokens();
    assert_eq!(generation(stage).await, 5);
}

/// Two pods, one token, no store between them: somebody may have a copy, so both lose.
#[tokio::test]
async fn two_tokens_of_one_generation_end_the_session_when_the_store_is_back() {
    let unchanging = Behaviour { rotate_refresh_tokens: false, ..Behaviour::default() };
    let scene = Scene::with(2, unchanging, |_| {}).await;
    let Scene { pods, refresh, postgres, .. } = &scene;
    scene.the_store_goes_away().await;
    let (access, one) = pods[0].refresh(refresh).await.tokens();
    let (_, other) = pods[1].refresh(refresh).await.tokens();
    assert_ne!(one, other);
    postgres.start_again().await.unwrap();
    for pod in pods {
        until("both refuse", || pod.verifier.admit(&access) == Err(BearerRefusal::Revoked)).await;
        for token in [&one, &other] {
            pod.refresh(token).await.refused(401, "invalid_grant");
        }
    }
}

#[tokio::test]
async fn a_copied_token_ends_the_session_during_an_outage_and_after_it() {
    let scene = Scene::set(2).await;
    let Scene { pods, refresh: first, postgres, .. } = &scene;
    scene.the_store_goes_away().await;
    let (_, second) = pods[0].refresh(first).await.tokens();
    let (access, third) = pods[0].refresh(&second).await.tokens();
    pods[0].refresh(first).await.refused(401, "invalid_grant");
    assert_eq!(pods[0].verifier.admit(&access), Err(BearerRefusal::Revoked));
    pods[0].refresh(&third).await.refused(401, "invalid_grant");
    postgres.start_again().await.unwrap();
    until("the other hears", || pods[1].verifier.admit(&access) == Err(BearerRefusal::Revoked)).await;
    pods[1].refresh(&third).await.refused(401, "invalid_grant");
}

/// A pod that is killed before it could tell: the next process on its directory does.
#[tokio::test]
async fn what_a_dead_pod_renewed_is_told_by_the_next_process() {
    let scene = Scene::set(1).await;
    scene.the_store_goes_away().await;
    let Scene { pods, refresh: first, stage, postgres, .. } = scene;
    let (_, second) = pods[0].refresh(&first).await.tokens();
    drop(pods);
    postgres.start_again().await.unwrap();
    let next = stage.pod().await;
    assert_eq!(generation(&stage).await, 2);
    assert_eq!(std::fs::read_dir(stage.journals.path()).unwrap().count(), 0, "told and gone");
    assert_eq!(next.refresh(&first).await.tokens().1, second, "even the lost reply");
    next.refresh(&second).await.tokens();
}

/// Catalogue R6: connections stay open and nothing answers.
#[tokio::test]
async fn a_silent_store_costs_a_caller_two_seconds_at_most() {
    let Scene { pods, refresh, postgres, stage: _stage, .. } = Scene::set(1).await;
    let pod = &pods[0];
    postgres.pause().unwrap();
    let began = Instant::now();
    pod.post("/oauth/device_authorization", &[]).await.refused(503, "temporarily_unavailable");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    notices(pod, false).await;
    pod.refresh(&refresh).await.tokens();
    postgres.resume().unwrap();
    until("it answers again", || pod.store.health().is_reachable()).await;
    pod.start().await;
}

/// One call that fails proves no outage, and without one nobody renews behind the store's back.
#[tokio::test]
async fn a_refresh_whose_claim_fails_waits_unless_the_store_is_known_to_be_away() {
    let stage = Stage::usual().await;
    let pod = stage.pod().await;
    let (_, refresh) = signed_in(&stage, &pod).await;
    let pool = postgres::pool(&stage.database).await.unwrap();
    let mut lock = pool.begin().await.unwrap();
    let statement = format!("LOCK TABLE {}.session IN ACCESS EXCLUSIVE MODE", stage.schema);
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *lock).await.unwrap();
    let asked = stage.provider.requests_to("/token").len();
    pod.refresh(&refresh).await.refused(503, "temporarily_unavailable");
    assert_eq!(stage.provider.requests_to("/token").len(), asked, "nobody was asked");
    lock.rollback().await.unwrap();
    pod.refresh(&refresh).await.tokens();
    assert_eq!(generation(&stage).await, 2);
}

/// The store comes back while the provider is still asked on behalf of a claim that it knows nothing of.
#[tokio::test]
async fn a_claim_of_the_outage_is_waited_for_when_the_store_is_back() {
    let slow = |script: &mut Script| script.lifetimes.renewal = Duration::from_secs(12);
    let scene = Scene::with(1, Behaviour::default(), slow).await;
    let Scene { pods, refresh, stage, .. } = &scene;
    let pod = &pods[0];
    let asked = stage.provider.requests_to("/token").len();
    scene.the_store_goes_away().await;
    stage.provider.misbehave(Misbehaviour::TokenEndpointHangs);
    let back = async {
        until("the provider is asked", || stage.provider.requests_to("/token").len() > asked).await;
        stage.provider.behave_well();
        scene.the_store_comes_back().await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        tokio::time::timeout(Duration::from_millis(500), pod.refresh(refresh)).await
    };
    let (first, second) = tokio::join!(pod.refresh(refresh), back);
    assert!(second.is_err(), "it waits");
    assert_eq!(stage.provider.requests_to("/token").len(), asked + 1);
    first.refused(503, "temporarily_unavailable");
    pod.refresh(refresh).await.tokens();
    assert_eq!(generation(stage).await, 2);
}

/// Catalogue R5: a crash under the pods, nobody restarted.
#[tokio::test]
async fn pods_outlive_a_crash_of_the_server() {
    let Scene { pods, refresh, postgres, stage: _stage, .. } = Scene::set(2).await;
    postgres.restart_immediate().await.unwrap();
    let since = Instant::now();
    for pod in &pods {
        while pod.post("/oauth/device_authorization", &[]).await.status != StatusCode::OK {
            assert!(since.elapsed() < Duration::from_secs(20), "no recovery");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let (access, _) = pods[1].refresh(&refresh).await.tokens();
    pods[0].post("/oauth/revoke", &[("token", &access)]).await;
    until("the notifications are back, or the tick", || pods[1].verifier.admit(&access) == Err(BearerRefusal::Revoked))
        .await;
}
