//! R11: an identity provider that is away, slow or broken: who is signed in stays, and who signs in is told.

use std::time::{Duration, Instant};

use e2e::cast::{
    browser::Browser,
    client::Client,
    openid::Misbehaviour,
    signin::{Device, Tokens, sign_in},
    stage::Stage,
};

/// The budget of 3.5 seconds, and room for a busy machine.
const SOON: Duration = Duration::from_secs(15);

/// The status, and whether the client is told when to come back.
async fn refresh(client: &Client, tokens: &Tokens) -> (u16, bool) {
    let form = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh_token.as_deref().unwrap())];
    let answer = client.post("/oauth/token").form(&form).send().await.unwrap();
    (answer.status, answer.header("retry-after").is_some())
}

/// R11
#[tokio::test]
async fn an_identity_provider_that_fails_ends_no_session_and_says_so_to_who_signs_in() {
    let stage = Stage::new().await;
    let client = stage.gateway.client().unwrap();
    for trouble in [None, Some(Misbehaviour::TokenEndpointFails), Some(Misbehaviour::TokenEndpointHangs)] {
        match &trouble {
            None => stage.identity.go_away().await,
            Some(misbehaviour) => stage.identity.misbehave(misbehaviour.clone()),
        }
        let since = Instant::now();
        assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
        assert_eq!(refresh(&client, &stage.tokens).await, (503, true), "{trouble:?}");
        assert!(since.elapsed() < SOON, "{trouble:?}: {:?}", since.elapsed());
        let device = Device::ask(&client).await.unwrap();
        if trouble.is_some() {
            let page = device.approve(&mut Browser::new(), "alice").await.unwrap();
            assert_eq!(page.status, 503, "{trouble:?}: {}", page.text);
        }
        let waiting = device.collect(&client).await.unwrap_err().to_string();
        assert!(waiting.contains("authorization_pending"), "{trouble:?}: {waiting}");
        match &trouble {
            None => stage.identity.come_back().await,
            Some(_) => stage.identity.behave_well(),
        }
    }
    assert_eq!(refresh(&client, &stage.tokens).await.0, 200, "the token was good all the time");
    sign_in(&stage.gateway, "bob").await.unwrap();
}
