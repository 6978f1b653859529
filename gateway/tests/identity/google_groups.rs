//! Groups from the directory of a Google Workspace, asked by a service account.

use std::io::Write;

use chrono::TimeDelta;
use e2e::cast::openid::{Behaviour, GroupDirectory};
use gateway::identity::SignInError;
use gateway_config::GoogleGroups;
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use serde_json::json;
use tempfile::NamedTempFile;

use crate::stage::{Stage, groups, session, unavailable};

const ACCOUNT: &str = "gateway@project.iam.gserviceaccount.com";
const ADMIN: &str = "admin@example.com";
const ALICES: &[&str] = &["eng@example.com", "oncall@example.com", "everyone@example.com"];

struct Workspace {
    stage: Stage,
    directory: GroupDirectory,
    _key_file: NamedTempFile,
}

async fn workspace(behaviour: Behaviour) -> Workspace {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let people: &[(&str, &[&str])] = &[("alice@example.com", ALICES), ("carol@example.com", &[])];
    let directory = GroupDirectory::start(ACCOUNT, ADMIN, &key.public_key_pem(), people).await;
    let mut key_file = NamedTempFile::new().unwrap();
    let account = json!({
        "type": "service_account",
        "client_email": ACCOUNT,
        "private_key": key.serialize_pem(),
        "private_key_id": "1",
        "token_uri": directory.token_uri(),
        "admin_directory_uri": directory.base(),
    });
    key_file.write_all(account.to_string().as_bytes()).unwrap();
    let google = GoogleGroups { service_account_json_path: key_file.path().to_owned(), admin_email: ADMIN.to_owned() };
    let stage = Stage::set(behaviour).await.configured(|config| config.google_groups = Some(google));
    Workspace { stage, directory, _key_file: key_file }
}

#[tokio::test]
async fn groups_are_the_directorys_from_every_page() {
    let workspace = workspace(Behaviour::default()).await;
    let party = workspace.stage.party().await;
    let alice = workspace.stage.sign_in(&party, "alice").await.unwrap();
    assert_eq!(alice.person.person().groups, groups(ALICES), "and none of the ID token's");
    let carol = workspace.stage.sign_in(&party, "carol").await.unwrap();
    assert_eq!(carol.person.person().groups, groups(&[]));
    let bob = workspace.stage.sign_in(&party, "bob").await.unwrap();
    assert_eq!(bob.person.person().groups, groups(&[]), "the directory does not know him");
    let asked: Vec<_> = workspace.directory.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(asked.iter().filter(|path| *path == "/token").count(), 1, "one grant serves all");
    assert_eq!(asked.len(), 5, "two pages for Alice, one each for the others");
}

#[tokio::test]
async fn a_grant_is_renewed_when_its_hour_is_over() {
    let workspace = workspace(Behaviour::default()).await;
    let party = workspace.stage.party().await;
    workspace.stage.sign_in(&party, "alice").await.unwrap();
    // The scripted directory checks the assertion's expiry by the real clock, so ours is turned forward only.
    workspace.stage.time_passes(TimeDelta::hours(1));
    workspace.stage.sign_in(&party, "alice").await.unwrap();
    let grants = workspace.directory.requests().into_iter().filter(|request| request.path == "/token").count();
    assert_eq!(grants, 2);
}

#[tokio::test]
async fn a_refusal_of_googles_is_never_the_persons_end() {
    let workspace = workspace(Behaviour { rotate_refresh_tokens: false, ..Behaviour::default() }).await;
    let party = workspace.stage.party().await;
    let (refresh_token, alice) = session(&workspace.stage, &party, "alice").await;
    // Google's own `invalid_grant` says that the service account is wrong.
    for status in [400, 401, 403, 503] {
        workspace.directory.break_with(Some(status));
        unavailable(party.renew(&refresh_token, &alice).await);
        let refused = workspace.stage.sign_in(&party, "alice").await;
        assert!(matches!(refused, Err(SignInError::Unavailable { .. })), "{status}");
    }
    workspace.directory.break_with(None);
    assert!(party.renew(&refresh_token, &alice).await.is_ok());
}

#[tokio::test]
async fn a_used_up_refresh_token_is_not_lost_to_a_hiccup_of_the_directory() {
    let workspace = workspace(Behaviour::default()).await;
    let party = workspace.stage.party().await;
    let (refresh_token, alice) = session(&workspace.stage, &party, "alice").await;
    workspace.directory.break_with(Some(503));
    let renewal = party.renew(&refresh_token, &alice).await.unwrap();
    assert_eq!(renewal.person.into_person(), alice);
}

#[tokio::test]
async fn a_key_file_that_is_none_stops_the_boot() {
    let mut stage = Stage::usual().await;
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(b"{\"private_key\": \"canary\"}").unwrap();
    for path in [file.path().to_owned(), "/nowhere/key.json".into()] {
        stage.config.google_groups =
            Some(GoogleGroups { service_account_json_path: path, admin_email: ADMIN.to_owned() });
        match stage.try_discover().await {
            Err(SignInError::Unavailable { reason }) => assert!(!reason.contains("canary"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}
