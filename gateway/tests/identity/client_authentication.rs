//! Each way of proving itself, verified by the provider.

use e2e::cast::openid::{AuthMethod, Behaviour, CertifiedClient};
use gateway::identity::SignInError;
use gateway_config::{ClientAuthentication, ClientCertificate};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};

use crate::stage::{Stage, session};

fn accepting(methods: &[AuthMethod]) -> Behaviour {
    Behaviour { auth_methods: methods.to_vec(), ..Behaviour::default() }
}

#[tokio::test]
async fn basic_is_negotiated_where_it_is_offered_or_nothing_is() {
    for advertise_auth_methods in [true, false] {
        let behaviour = Behaviour { advertise_auth_methods, ..accepting(&[AuthMethod::Basic]) };
        let stage = Stage::set(behaviour).await;
        stage.person("alice").await.unwrap();
        let sent = stage.provider.requests_to("/token").remove(0);
        assert!(sent.header("authorization").is_some());
        assert_eq!((sent.form("client_secret"), sent.form("client_id")), (None, None));
    }
}

#[tokio::test]
async fn post_is_negotiated_where_only_it_is_offered() {
    let stage = Stage::set(accepting(&[AuthMethod::Post])).await;
    stage.person("alice").await.unwrap();
    assert_eq!(stage.provider.requests_to("/token")[0].header("authorization"), None);
}

#[tokio::test]
async fn a_configured_method_is_not_negotiated() {
    let stage = Stage::usual().await;
    let secret = || stage.provider.client_secret().into();
    for (authentication, in_header) in
        [(ClientAuthentication::Post(secret()), false), (ClientAuthentication::Basic(secret()), true)]
    {
        let party = {
            let config = gateway_config::Oidc { authentication, ..stage.config.clone() };
            let stage_party = stage.party().await;
            stage_party.reload_credentials(&config);
            stage_party
        };
        stage.sign_in(&party, "alice").await.unwrap();
        let sent = stage.provider.requests_to("/token").pop().unwrap();
        assert_eq!(sent.header("authorization").is_some(), in_header);
    }
}

#[tokio::test]
async fn a_wrong_secret_is_our_fault_until_it_is_reloaded() {
    let mut stage = Stage::usual().await;
    let good = stage.config.clone();
    stage.config.authentication = ClientAuthentication::Negotiated("expired".into());
    let party = stage.party().await;
    let refused = stage.sign_in(&party, "alice").await;
    assert!(matches!(refused, Err(SignInError::Refused { code }) if code == "invalid_client"));
    party.reload_credentials(&good);
    stage.sign_in(&party, "alice").await.unwrap();
}

struct Registered {
    gateway: ClientCertificate,
    provider: CertifiedClient,
}

fn certificate() -> Registered {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let certificate = CertificateParams::new(vec!["gateway.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    Registered {
        gateway: ClientCertificate { private_key_pem: key.serialize_pem().into(), certificate_pem: certificate.pem() },
        provider: CertifiedClient { certificate_der: certificate.der().to_vec(), public_key_pem: key.public_key_pem() },
    }
}

#[tokio::test]
async fn a_certificate_signs_in_and_refreshes_without_a_secret() {
    let registered = certificate();
    let behaviour = Behaviour { certificate: Some(registered.provider), ..accepting(&[AuthMethod::PrivateKeyJwt]) };
    let stage = Stage::set(behaviour)
        .await
        .configured(|config| config.authentication = ClientAuthentication::PrivateKeyJwt(registered.gateway));
    let party = stage.party().await;
    let (refresh_token, alice) = session(&stage, &party, "alice").await;
    party.renew(&refresh_token, &alice).await.unwrap();
    let sent = stage.provider.requests_to("/token");
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|request| request.form("client_secret").is_none()));
    assert_ne!(sent[0].form("client_assertion"), sent[1].form("client_assertion"), "each one is good for one use");
}

#[tokio::test]
async fn another_certificate_is_refused_and_one_that_cannot_sign_stops_the_boot() {
    let registered = certificate();
    let behaviour = Behaviour { certificate: Some(registered.provider), ..accepting(&[AuthMethod::PrivateKeyJwt]) };
    let stranger = ClientAuthentication::PrivateKeyJwt(certificate().gateway);
    let mut stage = Stage::set(behaviour).await.configured(|config| config.authentication = stranger);
    let refused = stage.person("alice").await;
    assert!(matches!(refused, Err(SignInError::Refused { code }) if code == "invalid_client"));

    let broken = ClientCertificate { private_key_pem: "no key".into(), ..registered.gateway };
    stage.config.authentication = ClientAuthentication::PrivateKeyJwt(broken);
    assert!(stage.try_discover().await.is_err());
}
