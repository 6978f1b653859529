//! Catalogue S12: what goes to the operator's log, and what never does.

use std::{
    io,
    sync::{Arc, Mutex},
};

use e2e::cast::openid::{AuthMethod, Behaviour, Misbehaviour};
use secrecy::ExposeSecret;
use tracing_subscriber::fmt::MakeWriter;

use crate::stage::{Stage, session};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn s12_the_log_holds_the_providers_words_and_no_secret() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);

    let stage = Stage::set(Behaviour { auth_methods: vec![AuthMethod::Post], ..Behaviour::default() }).await;
    let party = stage.party().await;
    let (refresh_token, alice) = session(&stage, &party, "alice").await;
    let mut errors = Vec::new();
    for fault in [
        Misbehaviour::TokenEndpointRefuses("invalid_scope".to_owned()),
        Misbehaviour::WrongSignature,
        Misbehaviour::Garbage,
        Misbehaviour::KeySetFails,
    ] {
        stage.provider.misbehave(fault);
        if let Err(error) = stage.sign_in(&party, "alice").await {
            errors.push(format!("{error} {error:?}"));
        }
        if let Err(error) = party.renew(&refresh_token, &alice).await {
            errors.push(format!("{error} {error:?}"));
        }
    }

    let written = String::from_utf8(log.0.lock().unwrap().clone()).unwrap() + &errors.join("\n");
    assert!(written.contains("invalid_scope"), "the operator reads what the provider said: {written}");
    let sent = stage.provider.requests();
    let secrets = sent.iter().flat_map(|request| {
        ["code", "code_verifier", "refresh_token", "client_secret"].into_iter().filter_map(|name| request.form(name))
    });
    let secrets: Vec<_> = secrets.chain([refresh_token.expose_secret()]).collect();
    assert!(secrets.len() > 10);
    for secret in secrets {
        assert!(!written.contains(secret), "{secret} in {written}");
    }
    assert!(!written.contains("eyJ"), "a token in {written}");
}
