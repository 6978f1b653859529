//! The way back from the identity provider, and who may take it.

use e2e::cast::openid::{Behaviour, Misbehaviour, Person};
use url::Url;

use crate::{
    browser::{Browser, target},
    stage::{Answer, Stage},
};

#[tokio::test]
async fn the_way_out_carries_what_the_way_back_needs() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let (_, user_code) = pod.start().await;
    let departed = Browser::new().depart(&pod, &user_code).await;
    assert!(departed.as_str().starts_with(&stage.provider.issuer()));
    let parameter =
        |name: &str| departed.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    assert_eq!(parameter("response_type").as_deref(), Some("code"));
    assert_eq!(parameter("code_challenge_method").as_deref(), Some("S256"));
    for name in ["state", "nonce", "code_challenge"] {
        assert!(parameter(name).is_some_and(|value| value.len() >= 22), "{name}");
    }
}

/// Catalogue S16: the cookie on the whole walk.
#[tokio::test]
async fn the_cookie_binds_this_browser_for_this_sign_in_only() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let (_, user_code) = pod.start().await;
    let mut browser = Browser::new();
    browser.cookie = Some(format!("__Host-gateway-sign-in={}", "A".repeat(43)));
    let planted = browser.cookie.clone();
    let entered = browser.enter(&pod, &user_code).await;
    let set = entered.header("set-cookie").unwrap();
    for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
        assert!(set.contains(attribute), "{attribute}");
    }
    assert_ne!(browser.cookie, planted, "a planted cookie is replaced");
    let first = browser.cookie.clone();
    let departed = browser.depart(&pod, &user_code).await;
    assert_ne!(browser.cookie, first, "every entry makes a new one");
    let page = browser.come_back(&stage, &pod, &departed, "alice").await;
    assert!(page.header("set-cookie").unwrap().contains("Max-Age=0"));
}

async fn departed(stage: &Stage, pod: &crate::stage::Pod) -> (String, Browser, Url) {
    let (device_code, user_code) = pod.start().await;
    let mut browser = Browser::new();
    let departed = browser.depart(pod, &user_code).await;
    assert!(departed.as_str().starts_with(&stage.provider.issuer()));
    (device_code, browser, departed)
}

#[track_caller]
fn cannot_be_continued(page: &Answer) {
    assert_eq!(page.status.as_u16(), 400);
    assert!(page.body.contains("This sign-in cannot be continued"), "{}", page.body);
}

/// Catalogue S7: approved by somebody else's browser. And login CSRF: the attacker's callback in the victim's browser.
#[tokio::test]
async fn another_browser_cannot_finish_a_sign_in() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let (device_code, mut browser, url) = departed(&stage, &pod).await;
    let (other_device, mut other, _) = departed(&stage, &pod).await;
    let callback = target(&stage.provider.approve(&url, "alice"));
    cannot_be_continued(&other.open(&pod, &callback).await);
    cannot_be_continued(&Browser::new().open(&pod, &callback).await);
    for code in [&device_code, &other_device] {
        pod.poll(code).await.refused(400, "authorization_pending");
    }
    assert_eq!(browser.open(&pod, &callback).await.status.as_u16(), 200, "the right one still can");
}

/// Catalogue S8: a code that comes back again, at once and later. The first use stands: a person may reload the page.
#[tokio::test]
async fn a_callback_is_redeemed_once() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let (device_code, mut browser, url) = departed(&stage, &pod).await;
    let cookie = browser.cookie.clone();
    let callback = target(&stage.provider.approve(&url, "alice"));
    assert_eq!(browser.open(&pod, &callback).await.status.as_u16(), 200);
    for _ in 0..2 {
        browser.cookie = cookie.clone();
        cannot_be_continued(&browser.open(&pod, &callback).await);
    }
    assert_eq!(stage.provider.requests_to("/token").len(), 1, "the provider was asked once");
    let (access, _) = pod.poll(&device_code).await.tokens();
    assert!(pod.verifier.admit(&access).is_ok());
}

/// Catalogue S3: state that is absent, wrong, repeated.
#[tokio::test]
async fn a_callback_that_is_not_ours_is_refused() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let (device_code, mut browser, url) = departed(&stage, &pod).await;
    let callback = stage.provider.approve(&url, "alice");
    let whole = target(&callback);
    let state = callback.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    for wrong in [
        "/oauth/callback".to_owned(),
        "/oauth/callback?code=x".to_owned(),
        format!("/oauth/callback?state={state}"),
        format!("{whole}&state={state}"),
        format!("{whole}&code=x"),
        whole.replace(&state, "x"),
        format!("/oauth/callback?error=server_error&state={}", "y".repeat(43)),
    ] {
        let page = browser.open(&pod, &wrong).await;
        assert_eq!(page.status.as_u16(), 400, "{wrong}");
    }
    pod.poll(&device_code).await.refused(400, "authorization_pending");
    assert_eq!(browser.open(&pod, &whole).await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_person_who_cancels_at_the_provider_has_denied_the_device() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let (device_code, mut browser, url) = departed(&stage, &pod).await;
    stage.provider.disable("alice");
    let page = browser.come_back(&stage, &pod, &url, "alice").await;
    assert_eq!(page.status.as_u16(), 403);
    assert!(page.body.contains("Sign-in cancelled"));
    pod.poll(&device_code).await.refused(400, "access_denied");
}

#[tokio::test]
async fn an_unverified_address_is_a_page_and_a_denied_device() {
    let bob = Person::new("mallory", "Mallory", &["eng"]).claim("email_verified", false.into());
    let stage = Stage::with(Behaviour::default().person(bob)).await;
    let pod = stage.deaf_pod().await;
    let (device_code, mut browser, url) = departed(&stage, &pod).await;
    let page = browser.come_back(&stage, &pod, &url, "mallory").await;
    assert_eq!(page.status.as_u16(), 403);
    assert!(page.body.contains("You have no access"));
    pod.poll(&device_code).await.refused(400, "access_denied");
    assert_eq!(pod.audited("device.callback").last().unwrap()["outcome"], "not_admitted");
}

/// Catalogue S3, R11: an answer that cannot be trusted, or none: a page without detail, and the code works once more.
#[tokio::test]
async fn after_a_provider_that_failed_the_same_code_works_again() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    for (fault, status) in [
        (Misbehaviour::WrongNonce, 502),
        (Misbehaviour::WrongSignature, 502),
        (Misbehaviour::TokenEndpointRefuses("invalid_client".to_owned()), 502),
        (Misbehaviour::TokenEndpointFails, 503),
    ] {
        let (device_code, user_code) = pod.start().await;
        let mut browser = Browser::new();
        stage.provider.misbehave(fault.clone());
        let page = browser.sign_in(&stage, &pod, &user_code, "alice").await;
        assert_eq!(page.status.as_u16(), status, "{fault:?}: {}", page.body);
        assert!(page.body.contains("req_5a5a5a5a5a5a5a5a"), "the page names the request");
        assert!(!page.body.contains("nonce mismatch") && !page.body.contains("invalid_client"));
        pod.poll(&device_code).await.refused(400, "authorization_pending");
        stage.provider.behave_well();
        assert_eq!(browser.sign_in(&stage, &pod, &user_code, "alice").await.status.as_u16(), 200);
        pod.poll(&device_code).await.tokens();
    }
}

/// Catalogue S15: what the provider says of an error is never shown.
#[tokio::test]
async fn the_words_of_a_callback_are_not_shown() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let (_, mut browser, url) = departed(&stage, &pod).await;
    let callback = stage.provider.approve(&url, "alice");
    let state = callback.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let words = "error=server_error&error_description=%3Cscript%3Ealert(1)%3C/script%3E&error_uri=javascript:1";
    let page = browser.open(&pod, &format!("/oauth/callback?state={state}&{words}")).await;
    assert_eq!(page.status.as_u16(), 502);
    assert!(!page.body.contains("script>") && !page.body.contains("javascript"), "{}", page.body);
}

/// Catalogue S15: markup in a claim.
#[tokio::test]
async fn the_name_of_a_person_is_text_on_the_page() {
    let eve = Person::new("eve", "Eve", &[]).claim("email", "<img onerror>@example.com".into());
    let stage = Stage::with(Behaviour::default().person(eve)).await;
    let pod = stage.deaf_pod().await;
    let (_, mut browser, url) = departed(&stage, &pod).await;
    let page = browser.come_back(&stage, &pod, &url, "eve").await;
    assert!(!page.body.contains("<img"), "{}", page.body);
}
