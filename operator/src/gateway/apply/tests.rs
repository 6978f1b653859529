//! The exact calls, and what becomes of a world in which any of them fails.

use std::time::Instant;

use serde_json::{Value, json};

use super::*;
use crate::{
    engine::scope::Scope,
    gateway::{
        fixtures::{self, complete, desired, minimal, validated},
        server::Server,
        sight::Sights,
    },
};

const SERVICE: &str = "/api/v1/namespaces/team/services/claude";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/team/deployments/claude";
const POLICY: &str = "/apis/networking.k8s.io/v1/namespaces/team/networkpolicies/claude";

async fn applied(server: &Server, memory: &Memory, spec: Value) -> Result<Applied, ApplyError> {
    applied_by(server, &Sights::default(), memory, spec).await
}

async fn applied_by(server: &Server, sights: &Sights, memory: &Memory, spec: Value) -> Result<Applied, ApplyError> {
    let gateway = validated(spec.clone()).unwrap();
    let desired = desired(spec.clone());
    let client = server.client();
    let sight = sights.of(&client, &fixtures::object(spec), Instant::now());
    match apply(&sight, &gateway, &desired, memory).await? {
        Some(applied) => Ok(applied),
        None => {
            sight.begin_anew();
            Ok(apply(&sight, &gateway, &desired, memory).await?.unwrap())
        }
    }
}

/// Of everything that a gateway may own.
fn listening() -> Sights {
    let sights = Sights::default();
    Kind::ALL.into_iter().for_each(|kind| sights.listens(Watched::Owned(kind), &Scope::Cluster));
    sights
}

#[tokio::test]
async fn everything_is_looked_at_before_anything_is_written_under_our_name() {
    let (server, memory) = (Server::default(), Memory::default());
    let written = applied(&server, &memory, complete()).await.unwrap().writes();
    let calls = server.calls();
    let first = calls.iter().position(|call| call.is_write()).unwrap();
    assert!(calls[first..].iter().all(|call| call.is_write()), "{calls:#?}");
    assert_eq!((calls.len() - first, server.objects().len()), (written, written));
    for call in &calls[first..] {
        assert!(
            call.query.contains("fieldManager=claude-gateway-operator") && call.query.contains("force=true"),
            "{call:?}"
        );
    }
}

#[tokio::test]
async fn c1_a_second_time_writes_nothing() {
    for spec in [minimal(), complete()] {
        let (server, memory) = (Server::default(), Memory::default());
        applied(&server, &memory, spec.clone()).await.unwrap();
        server.calls();
        // Another process remembers nothing and has nothing to write either.
        for memory in [memory, Memory::default()] {
            assert_eq!(applied(&server, &memory, spec.clone()).await.unwrap().writes(), 0);
            assert!(server.calls().iter().all(|call| !call.is_write()));
        }
    }
}

#[tokio::test]
async fn c10_what_was_written_is_not_read_again_until_a_watch_speaks_of_another_version() {
    for spec in [minimal(), complete()] {
        let (server, memory, sights) = (Server::default(), Memory::default(), listening());
        applied_by(&server, &sights, &memory, spec.clone()).await.unwrap();
        server.calls();
        applied_by(&server, &sights, &memory, spec.clone()).await.unwrap();
        assert_eq!(server.calls(), [], "C1");
        let mut changed = server.objects()[DEPLOYMENT].clone();
        changed["spec"]["template"] = json!({});
        changed["metadata"]["resourceVersion"] = json!("another");
        server.put(DEPLOYMENT, changed.clone());
        let meta = serde_json::from_value(changed["metadata"].clone()).unwrap();
        assert!(sights.heard(Watched::Owned(Kind::Deployment), &meta, false), "it is news");
        let writes = applied_by(&server, &sights, &memory, spec).await.unwrap().writes();
        let calls = server.calls();
        let (written, read): (Vec<_>, Vec<_>) = calls.iter().partition(|call| call.is_write());
        assert_eq!((writes, written.len()), (1, 1), "C2: it is mended");
        let is_read = |path: &String| read.iter().any(|call| call.path == *path);
        assert!(server.objects().keys().all(is_read), "C3: every object was looked at before: {calls:#?}");
    }
}

#[tokio::test]
async fn c3_what_is_remembered_is_no_reason_to_write_over_somebody_elses_object() {
    let (server, memory, sights) = (Server::default(), Memory::default(), listening());
    applied_by(&server, &sights, &memory, minimal()).await.unwrap();
    let theirs = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "claude", "uid": "theirs" } });
    // The watch has not said so yet.
    server.put(SERVICE, theirs.clone());
    let deployment = server.objects()[DEPLOYMENT]["metadata"].clone();
    sights.heard(Watched::Owned(Kind::Deployment), &serde_json::from_value(deployment).unwrap(), true);
    let mut changed = server.objects()[DEPLOYMENT].clone();
    changed["spec"]["replicas"] = json!(9);
    server.put(DEPLOYMENT, changed.clone());
    let conflict = applied_by(&server, &sights, &memory, minimal()).await.unwrap_err();
    assert_eq!(conflict.finding().reason, Reason::NameConflict);
    assert_eq!((&server.objects()[SERVICE], &server.objects()[DEPLOYMENT]), (&theirs, &changed), "nothing is written");
}

#[tokio::test]
async fn c3_what_shall_be_is_never_written_from_memory() {
    let (server, memory, sights) = (Server::default(), Memory::default(), listening());
    applied_by(&server, &sights, &memory, minimal()).await.unwrap();
    // Out of step with what is remembered, as where keys were made of a Secret that is another by now.
    let gateway = validated(minimal()).unwrap();
    let mut other = desired(minimal());
    other.objects[0].object.metadata.labels.get_or_insert_default().insert("other".to_owned(), "yes".to_owned());
    let client = server.client();
    let sight = sights.of(&client, &fixtures::object(minimal()), Instant::now());
    server.calls();
    assert!(apply(&sight, &gateway, &other, &memory).await.unwrap().is_none());
    assert_eq!(server.calls(), [], "nothing is read either: whoever decided has to look again, too");
    sight.begin_anew();
    assert_eq!(apply(&sight, &gateway, &other, &memory).await.unwrap().unwrap().writes(), 1);
}

#[tokio::test]
async fn c6_a_failure_at_any_call_ends_the_try_and_the_next_one_converges() {
    let whole = Server::default();
    applied(&whole, &Memory::default(), complete()).await.unwrap();
    let (calls, wanted) = (whole.calls().len(), whole.objects());
    for number in 0..calls {
        for status in [409, 429, 500] {
            let (server, memory) = (Server::default(), Memory::default());
            server.fail(number, status);
            let failed = applied(&server, &memory, complete()).await.unwrap_err();
            assert_eq!(failed.finding().reason, Reason::ApplyFailed);
            assert_eq!(server.calls().len(), number + 1, "nothing is asked after a failure");
            applied(&server, &memory, complete()).await.unwrap();
            let names =
                |objects: &std::collections::BTreeMap<String, Value>| objects.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&server.objects()), names(&wanted), "call {number}, {status}");
        }
    }
}

#[tokio::test]
async fn c3_an_object_of_somebody_else_stops_all_writes_and_stays() {
    let foreign =
        json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "claude", "uid": "theirs" }, "spec": {} });
    let server = Server::default();
    server.put(SERVICE, foreign.clone());
    let conflict = applied(&server, &Memory::default(), minimal()).await.unwrap_err();
    assert_eq!(conflict.finding().reason, Reason::NameConflict);
    assert_eq!(server.objects(), [(SERVICE.to_owned(), foreign)].into());
}

#[tokio::test]
async fn c3_what_is_not_asked_for_any_more_is_deleted_if_it_is_ours() {
    let (server, memory) = (Server::default(), Memory::default());
    applied(&server, &memory, minimal()).await.unwrap();
    let mut without = minimal();
    without["networkPolicy"] = json!({ "enabled": false });
    applied(&server, &memory, without.clone()).await.unwrap();
    assert!(!server.objects().contains_key(POLICY));
    let theirs = json!({ "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": { "name": "claude", "uid": "theirs" } });
    server.put(POLICY, theirs.clone());
    assert_eq!(applied(&server, &memory, without).await.unwrap().writes(), 0);
    assert_eq!(server.objects()[POLICY], theirs);
}

#[tokio::test]
async fn c2_a_field_of_ours_that_somebody_changed_is_written_again() {
    let (server, memory) = (Server::default(), Memory::default());
    applied(&server, &memory, minimal()).await.unwrap();
    let mut changed = server.objects()[DEPLOYMENT].clone();
    changed["spec"]["replicas"] = json!(9);
    server.put(DEPLOYMENT, changed);
    assert_eq!(applied(&server, &memory, minimal()).await.unwrap().writes(), 1);
    assert_eq!(server.objects()[DEPLOYMENT]["spec"]["replicas"], 2);
}

#[tokio::test]
async fn pods_are_not_touched_while_they_could_not_start() {
    let (server, memory) = (Server::default(), Memory::default());
    applied(&server, &memory, minimal()).await.unwrap();
    let mut changed = minimal();
    changed["replicas"] = json!(1);
    let (gateway, login, keys) = (validated(changed).unwrap(), fixtures::login(), fixtures::keys());
    let away = super::super::build::Found { login: Some(&login), keys: &keys, database_ready: false, given: None };
    let desired = super::super::build::build(&gateway, &away).unwrap();
    let (client, sights) = (server.client(), Sights::default());
    let sight = sights.of(&client, &fixtures::object(minimal()), Instant::now());
    let applied = apply(&sight, &gateway, &desired, &memory).await.unwrap().unwrap();
    assert!(applied.waits());
    assert_eq!(server.objects()[DEPLOYMENT]["spec"]["replicas"], 2);
}
