//! What a thief of the database has: nothing that signs anybody in.

use std::process::Command;

use crate::{browser::Browser, stage::Stage};

fn dump(stage: &Stage) -> String {
    let mut servers: Vec<_> =
        std::fs::read_dir("/usr/lib/postgresql").unwrap().map(|entry| entry.unwrap().path()).collect();
    servers.sort();
    let program = servers.pop().unwrap().join("bin/pg_dump");
    let dumped =
        Command::new(program).args(["--inserts", "--schema", &stage.schema, &stage.database]).output().unwrap();
    assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
    String::from_utf8(dumped.stdout).unwrap()
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Catalogue S13, at every step of a session's life.
#[tokio::test]
async fn a_dump_of_the_database_holds_no_token_and_no_code() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let mut secrets = Vec::new();
    let check = |secrets: &[String], step: &str| {
        let dump = dump(&stage);
        assert!(dump.contains("INSERT INTO"), "there is something to find");
        for secret in secrets {
            assert!(!dump.contains(secret) && !dump.contains(&hex(secret)), "{step}: {secret}");
        }
    };

    let (device_code, user_code) = pod.start().await;
    secrets.extend([device_code.clone(), user_code.clone(), user_code.replace('-', "")]);
    check(&secrets, "pending");

    let mut browser = Browser::new();
    let departed = browser.depart(&pod, &user_code).await;
    secrets.push(browser.cookie.clone().unwrap().split_once('=').unwrap().1.to_owned());
    for name in ["state", "nonce"] {
        secrets.push(departed.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned());
    }
    check(&secrets, "departed");

    browser.come_back(&stage, &pod, &departed, "alice").await;
    let redeemed = stage.provider.requests_to("/token").pop().unwrap();
    secrets.extend(["code", "code_verifier"].map(|name| redeemed.form(name).unwrap().to_owned()));
    check(&secrets, "approved");

    let (access, refresh) = pod.poll(&device_code).await.tokens();
    secrets.extend([access, refresh.clone()]);
    check(&secrets, "signed in");

    let (access, next) = pod.refresh(&refresh).await.tokens();
    let renewed = stage.provider.requests_to("/token").pop().unwrap();
    secrets.push(renewed.form("refresh_token").unwrap().to_owned());
    secrets.extend([access, next]);
    check(&secrets, "refreshed, the successor kept for the grace");
}

#[tokio::test]
async fn the_audit_holds_no_token_and_no_code() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let (device_code, user_code) = pod.start().await;
    let mut browser = Browser::new();
    let departed = browser.depart(&pod, &user_code).await;
    let cookie = browser.cookie.clone().unwrap().split_once('=').unwrap().1.to_owned();
    browser.come_back(&stage, &pod, &departed, "alice").await;
    let (access, refresh) = pod.poll(&device_code).await.tokens();
    let (next_access, next) = pod.refresh(&refresh).await.tokens();
    pod.post("/oauth/revoke", &[("token", &next)]).await;
    pod.refresh(&next).await.refused(401, "invalid_grant");

    let lines: Vec<_> = pod.audit().iter().map(ToString::to_string).collect();
    let events: Vec<_> = pod.audit().iter().map(|line| line["evt"].as_str().unwrap().to_owned()).collect();
    let expected = [
        "device.authorize",
        "device.verify",
        "device.verify",
        "device.callback",
        "session.mint",
        "session.refresh",
        "session.revoke",
        "auth.denied",
    ];
    assert_eq!(events, expected);
    for secret in [device_code, user_code, cookie, access, refresh, next_access, next] {
        assert!(!lines.iter().any(|line| line.contains(&secret)));
    }
}
