//! The verification page (`protocol.md` 3).

use axum::{
    body::Body,
    http::{Request, header},
};

use crate::{
    browser::Browser,
    stage::{Answer, HOME, ORIGIN, Pod, Stage, post},
};

#[track_caller]
fn is_a_safe_page(answer: &Answer, provider: &str) {
    let policy = answer.header("content-security-policy").unwrap();
    let nonce = policy.split("style-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(policy.contains(&format!("form-action 'self' {provider} https://second-factor.example;")), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(answer.body.contains(&format!("<style nonce=\"{nonce}\">")), "the page's own style is allowed");
    assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.header("cross-origin-opener-policy"), Some("same-origin"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.body.starts_with("<!doctype html>") && answer.body.contains("<html lang=\"en\">"));
    assert!(!answer.body.contains("<script") && !answer.body.contains("style=\"") && !answer.body.contains(" onclick"));
}

/// Catalogue S15: every page, the headers and nothing inline.
#[tokio::test]
async fn every_page_is_framed_by_nobody_and_runs_nothing() {
    let stage = Stage::usual().await;
    let (pod, issuer) = (stage.deaf_pod().await, stage.provider.issuer());
    let (_, user_code) = pod.start().await;
    let mut browser = Browser::new();
    for answer in [
        pod.get("/").await,
        pod.get("/device").await,
        pod.get(&format!("/device?user_code={user_code}")).await,
        pod.post("/device", &[("user_code", &user_code)]).await,
        browser.enter(&pod, "wrong").await,
        browser.enter(&pod, &user_code).await,
        browser.submit(&pod, "/device/deny", &[("user_code", &user_code)]).await,
        pod.get("/oauth/callback").await,
        pod.get("/oauth/callback?code=a&state=b").await,
    ] {
        is_a_safe_page(&answer, &issuer);
    }
}

#[tokio::test]
async fn two_pages_never_share_a_nonce() {
    let pod = Stage::usual().await.deaf_pod().await;
    let policy = |answer: Answer| answer.header("content-security-policy").unwrap().to_owned();
    assert_ne!(policy(pod.get("/device").await), policy(pod.get("/device").await));
}

/// The GET is free, so it must tell nothing: not whether the code exists, and not who asked.
#[tokio::test]
async fn opening_the_page_says_nothing_about_a_code() {
    let pod = Stage::usual().await.deaf_pod().await;
    let (_, real) = pod.start().await;
    let before = pod.store.calls();
    let shown = pod.get(&format!("/device?user_code={real}")).await;
    let made_up = pod.get("/device?user_code=BCDF-GHJK").await;
    assert_eq!(pod.store.calls(), before, "nothing was looked up");
    let blank = |answer: &Answer, code: &str| {
        let nonce = answer.body.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        answer.body.replace(code, "CODE").replace(&nonce, "NONCE")
    };
    assert_eq!(blank(&shown, &real), blank(&made_up, "BCDF-GHJK"));
    assert!(shown.body.contains(&format!("value=\"{real}\"")));
    assert!(!shown.body.contains(HOME), "who asked is for those who have the code");
}

#[tokio::test]
async fn nothing_in_the_address_gets_into_the_page_but_a_code() {
    let pod = Stage::usual().await.deaf_pod().await;
    for query in ["user_code=%22%3E%3Cscript%3E", "user_code=BCDF-GHJ", "user_code=BCDFGHJK&user_code=BCDFGHJK", "%00"]
    {
        let answer = pod.get(&format!("/device?{query}")).await;
        assert_eq!(answer.status.as_u16(), 200);
        assert!(answer.body.contains("name=\"user_code\" value=\"\""), "{query}");
    }
}

/// Catalogue S7: a phished code looks wrong.
#[tokio::test]
async fn a_good_code_shows_what_asks_before_anybody_leaves() {
    let pod = Stage::usual().await.deaf_pod().await;
    let (_, user_code) = pod.start().await;
    let here = Browser::new().enter(&pod, &user_code.to_lowercase().replace('-', " ")).await;
    assert_eq!(here.status.as_u16(), 200);
    for shown in [&*user_code, HOME, "claude-code/2.1.330", "just now", "the same as this browser"] {
        assert!(here.body.contains(shown), "{shown}");
    }
    assert!(here.header("location").is_none());
    let elsewhere = Browser::at("198.51.100.9").enter(&pod, &user_code).await;
    assert!(elsewhere.body.contains("from another address than this browser, which is at 198.51.100.9"));
    assert!(elsewhere.body.contains("role=\"alert\""));
}

/// Two pages, one cookie jar: a word on the first page is none for the device of the second.
#[tokio::test]
async fn a_confirmation_counts_only_for_the_code_that_its_page_showed() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let (_, first) = pod.start().await;
    let (second_device, second) = pod.start().await;
    let mut browser = Browser::new();
    for code in [&first, &second] {
        assert_eq!(browser.enter(&pod, code).await.status.as_u16(), 200);
    }
    for fields in [vec![("user_code", &*first), ("confirm", "yes")], vec![("confirm", "yes")]] {
        let answer = browser.submit(&pod, "/device", &fields).await;
        assert_eq!(answer.status.as_u16(), 400, "{:?}", answer.header("location"));
        assert!(answer.body.contains("This sign-in cannot be continued"));
    }
    pod.poll(&second_device).await.refused(400, "authorization_pending");
    let confirmed = browser.submit(&pod, "/device", &[("user_code", &second), ("confirm", "yes")]).await;
    assert_eq!(confirmed.status.as_u16(), 303, "the page that is open can still be confirmed");
}

#[tokio::test]
async fn a_program_cannot_write_its_own_page() {
    let pod = Stage::usual().await.deaf_pod().await;
    let mut request = post("/oauth/device_authorization", &[]);
    request.headers_mut().insert(header::USER_AGENT, "<img src=x onerror=alert(1)>".parse().unwrap());
    let user_code = pod.call(HOME, request).await.json()["user_code"].as_str().unwrap().to_owned();
    let page = Browser::new().enter(&pod, &user_code).await;
    assert!(page.body.contains("&#60;img src=x") && !page.body.contains("<img"), "{}", page.body);
}

#[tokio::test]
async fn a_wrong_code_keeps_the_form_and_says_what_to_do() {
    let pod = Stage::usual().await.deaf_pod().await;
    for wrong in ["BCDF-GHJK", "", "not a code", "<b>"] {
        let page = Browser::new().enter(&pod, wrong).await;
        assert_eq!(page.status.as_u16(), 400, "{wrong}");
        assert!(page.body.contains("role=\"alert\"") && page.body.contains("aria-invalid=\"true\""));
        assert!(!page.body.contains("<b>"));
        assert!(page.header("set-cookie").is_none());
    }
}

#[tokio::test]
async fn a_used_or_denied_code_works_no_more() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let (_, used) = pod.start().await;
    Browser::new().sign_in(&stage, &pod, &used, "alice").await;
    assert_eq!(Browser::new().enter(&pod, &used).await.status.as_u16(), 400);
    let (_, denied) = pod.start().await;
    Browser::new().submit(&pod, "/device/deny", &[("user_code", &denied)]).await;
    assert_eq!(Browser::new().enter(&pod, &denied).await.status.as_u16(), 400);
    assert_eq!(Browser::new().submit(&pod, "/device/deny", &[("user_code", &denied)]).await.status.as_u16(), 400);
}

/// Catalogue S6: five entries a code.
#[tokio::test]
async fn one_code_is_entered_five_times_at_most() {
    let pod = Stage::usual().await.deaf_pod().await;
    let (_, user_code) = pod.start().await;
    for _ in 0..5 {
        assert_eq!(Browser::new().enter(&pod, &user_code).await.status.as_u16(), 200);
    }
    assert_eq!(Browser::new().enter(&pod, &user_code).await.status.as_u16(), 400);
    let denied = Browser::new().submit(&pod, "/device/deny", &[("user_code", &user_code)]).await;
    assert_eq!(denied.status.as_u16(), 200, "it can still be denied");
}

/// Catalogue S5: posts from elsewhere change nothing, with whatever content type and method override.
#[tokio::test]
async fn a_form_of_another_site_changes_nothing() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let (device_code, user_code) = pod.start().await;
    for path in ["/device", "/device/deny"] {
        for (name, value) in [
            ("origin", "https://attacker.example"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "none"),
            ("x-nothing", "neither header"),
        ] {
            let mut request = post(path, &[("user_code", &user_code)]);
            request.headers_mut().insert(name, value.parse().unwrap());
            let answer = pod.call(HOME, request).await;
            assert_eq!(answer.status.as_u16(), 403, "{path} {name}: {value}");
            assert!(answer.body.contains("Nothing was changed") && answer.header("set-cookie").is_none());
        }
        let overridden = Request::get(format!("{path}?user_code={user_code}&_method=POST"));
        let overridden = overridden.header("x-http-method-override", "POST").body(Body::empty()).unwrap();
        assert!(pod.call(HOME, overridden).await.header("set-cookie").is_none());
    }
    pod.poll(&device_code).await.refused(400, "authorization_pending");
    assert!(pod.audited("device.verify").iter().all(|line| line["outcome"] == "cross_site"));
    assert_eq!(pod.audited("device.deny").len(), 5);
    assert_eq!(Browser::new().enter(&pod, &user_code).await.status.as_u16(), 200, "the code was not used up");
}

/// Catalogue S4: no parameter sends anybody anywhere.
#[tokio::test]
async fn no_parameter_redirects() {
    let pod = Stage::usual().await.deaf_pod().await;
    let places = ["https://attacker.example", "//attacker.example", "/\\attacker.example", "javascript:alert(1)"];
    let more =
        ["https:attacker.example", "/%09/attacker.example", "https://gateway.example@attacker.example", "\u{ff0f}x"];
    let parameters =
        ["user_code", "redirect_uri", "next", "return_to", "rd", "state", "code", "iss", "error_uri", "url"];
    for place in places.iter().chain(&more) {
        for parameter in parameters {
            let query = url::form_urlencoded::Serializer::new(String::new()).append_pair(parameter, place).finish();
            for path in ["/", "/device", "/oauth/callback", "/.well-known/oauth-authorization-server"] {
                let answer = pod.get(&format!("{path}?{query}")).await;
                assert!(answer.header("location").is_none(), "{path}?{query}");
            }
            let posted = Browser::new().submit(&pod, "/device", &[(parameter, place), ("confirm", "yes")]).await;
            assert!(posted.header("location").is_none(), "{parameter}={place}");
        }
    }
}

#[tokio::test]
async fn the_landing_page_says_how_to_connect() {
    let pod: Pod = Stage::usual().await.deaf_pod().await;
    let page = pod.get("/").await;
    assert_eq!(page.status.as_u16(), 200);
    assert!(page.body.contains("forceLoginGatewayUrl") && page.body.contains(ORIGIN));
}
