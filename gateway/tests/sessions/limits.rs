//! How much one network may ask, and how much guessing all of them may do: counted across pods.

use std::time::Duration;

use e2e::cast::length::short_or_full;
use futures_util::future::join_all;
use gateway_config::RateLimit;

use crate::{
    browser::Browser,
    stage::{Stage, post},
};

fn limit(max: u32) -> RateLimit {
    RateLimit { max, window: Duration::from_secs(600) }
}

/// Catalogue S17: sixteen pods, one /64, every request at once.
#[tokio::test]
async fn a_network_gets_its_thirty_codes_from_all_pods_together() {
    let stage = Stage::usual().await.scripted(|script| {
        script.rate_limits.device_authorization = limit(30);
        script.connections = 2;
    });
    let pods = stage.deaf_pods(16).await;
    let asked = join_all((0..80).map(|n| {
        let address = format!("2001:db8:1:2::{n:x}");
        let pod = &pods[n % pods.len()];
        async move { pod.call(&address, post("/oauth/device_authorization", &[])).await }
    }))
    .await;
    let (given, refused): (Vec<_>, Vec<_>) = asked.iter().partition(|answer| answer.status.is_success());
    assert_eq!(given.len(), 30);
    for answer in refused {
        answer.refused(429, "slow_down");
        let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=600).contains(&seconds), "{seconds}");
    }
    let neighbour = pods[0].call("2001:db8:1:3::1", post("/oauth/device_authorization", &[])).await;
    assert!(neighbour.status.is_success(), "the next /64 is somebody else");
}

#[tokio::test]
async fn a_window_that_is_over_counts_anew() {
    let window = short_or_full(Duration::from_millis(400), Duration::from_secs(600));
    let stage = Stage::usual().await.scripted(|script| {
        script.rate_limits.device_authorization = RateLimit { max: 1, window };
    });
    let pod = stage.deaf_pod().await;
    pod.start().await;
    pod.post("/oauth/device_authorization", &[]).await.refused(429, "slow_down");
    tokio::time::sleep(window + Duration::from_millis(50)).await;
    pod.start().await;
}

#[tokio::test]
async fn a_network_over_its_limit_costs_the_store_nothing_more() {
    let stage = Stage::usual().await.scripted(|script| {
        script.rate_limits.device_authorization = limit(1);
        script.rate_limits.device_verify = limit(1);
    });
    let pod = stage.deaf_pod().await;
    let (_, user_code) = pod.start().await;
    pod.post("/oauth/device_authorization", &[]).await.refused(429, "slow_down");
    Browser::new().enter(&pod, &user_code).await;
    assert_eq!(Browser::new().enter(&pod, &user_code).await.status.as_u16(), 429);
    let before = pod.store.calls();
    let again = pod.post("/oauth/device_authorization", &[]).await;
    again.refused(429, "slow_down");
    let seconds: u32 = again.header("retry-after").unwrap().parse().unwrap();
    assert!((500..=600).contains(&seconds), "{seconds}");
    assert_eq!(Browser::new().enter(&pod, &user_code).await.status.as_u16(), 429);
    assert_eq!(pod.store.calls(), before);
}

/// Entering and denying are one count, right and wrong alike, or the wrong ones could be told apart.
#[tokio::test]
async fn a_network_gets_ten_tries_of_codes() {
    let stage = Stage::usual().await.scripted(|script| script.rate_limits.device_verify = limit(10));
    let pods = [stage.deaf_pod().await, stage.deaf_pod().await];
    let (_, user_code) = pods[0].start().await;
    let mut browser = Browser::new();
    for n in 0..10 {
        let (path, code) = [("/device", "BCDF-GHJK"), ("/device/deny", "nonsense")][n % 2];
        let page = browser.submit(&pods[n % 2], path, &[("user_code", code)]).await;
        assert_eq!(page.status.as_u16(), 400);
    }
    for (path, pod) in [("/device", &pods[0]), ("/device/deny", &pods[1])] {
        let page = browser.submit(pod, path, &[("user_code", &user_code)]).await;
        assert_eq!(page.status.as_u16(), 429);
        assert!(page.header("retry-after").is_some() && page.body.contains("Too many tries"));
    }
    let elsewhere = Browser::at("198.51.100.9").enter(&pods[0], &user_code).await;
    assert_eq!(elsewhere.status.as_u16(), 200, "other networks are not held back");
}

/// The page that shows the request counts once; going on from it is no try.
#[tokio::test]
async fn going_on_from_the_page_is_no_second_try() {
    let stage = Stage::usual().await.scripted(|script| script.rate_limits.device_verify = limit(1));
    let pod = stage.deaf_pod().await;
    let (_, user_code) = pod.start().await;
    Browser::new().depart(&pod, &user_code).await;
}

/// Catalogue S6: past the hour's bound a code counts only from its own device's network, on every pod.
#[tokio::test]
async fn after_too_much_guessing_a_code_counts_only_where_it_was_asked_for() {
    let stage = Stage::usual().await;
    let pods = [stage.deaf_pod().await, stage.deaf_pod().await];
    let (device_code, user_code) = pods[0].start().await;
    let hour = Duration::from_secs(3600);
    let window = pods[0].store.count_in_window("guesses", "", 1_016, hour).await.unwrap();
    assert_eq!(window.count, 1_016);
    let within = Browser::at("198.51.100.9").enter(&pods[1], &user_code).await;
    assert_eq!(within.status.as_u16(), 200, "the bound is not met yet");
    pods[0].store.count_in_window("guesses", "", 1, hour).await.unwrap();

    let guesser = Browser::at("198.51.100.9").enter(&pods[1], &user_code).await;
    assert_eq!(guesser.status.as_u16(), 400);
    assert!(guesser.body.contains("only from the network of its own device"));
    let deny = Browser::at("198.51.100.9").submit(&pods[1], "/device/deny", &[("user_code", &user_code)]).await;
    assert_eq!(deny.status.as_u16(), 400);

    let page = Browser::new().sign_in(&stage, &pods[1], &user_code, "alice").await;
    assert_eq!(page.status.as_u16(), 200, "{}", page.body);
    pods[0].poll(&device_code).await.tokens();
}

/// Nobody's guessing narrows sign-in for longer than the hour it was done in.
#[tokio::test]
async fn a_wrong_try_is_remembered_for_an_hour() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    pod.start().await;
    Browser::new().enter(&pod, "BCDF-GHJK").await;
    let window = pod.store.count_in_window("guesses", "", 0, Duration::from_secs(1)).await.unwrap();
    assert_eq!(window.count, 1);
    assert!(window.remaining <= Duration::from_secs(3600), "{:?}", window.remaining);
}

/// Catalogue S6: what a wrong try costs is what it could have hit; a right one costs nothing.
#[tokio::test]
async fn a_wrong_try_weighs_as_many_codes_as_it_could_have_hit() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let mut codes = Vec::new();
    for _ in 0..7 {
        codes.push(pod.start().await.1);
    }
    let sum = async || pod.store.count_in_window("guesses", "", 0, Duration::from_secs(3600)).await.unwrap().count;
    Browser::new().enter(&pod, "BCDF-GHJK").await;
    assert_eq!(sum().await, 7);
    Browser::new().enter(&pod, &codes[0]).await;
    assert_eq!(sum().await, 7);
    Browser::new().enter(&pod, "no code at all").await;
    assert_eq!(sum().await, 7);
}
