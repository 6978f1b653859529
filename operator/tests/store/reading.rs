//! What pods say of themselves.

use super::Place;

#[tokio::test]
async fn live_pods_are_read_as_they_say_and_no_more_is_believed() {
    let place = Place::migrated().await;
    let pods = r#"
        INSERT INTO claude_gateway.pod (incarnation, name, version, session_keys, policy_revision, upstreams, seen_at)
        VALUES ('i1', 'pod-1', '0.1.0', '{k2,k1}', 7, '[{"name": "one", "credential": "ok", "health": "well"}]', now()),
            ('i2', 'pod-2', '0.1.0', '{k1}', 6, '[{"name": 1e400}]', now()),
            ('i3', 'gone', '0.1.0', '{k1}', 7, '[]', now() - interval '11 seconds')"#;
    place.postgres.execute(&place.url, pods).await.unwrap();
    let pods = place.store.live_pods().await.unwrap();
    let said: Vec<_> = pods.iter().map(|pod| (pod.name.as_str(), pod.policy_revision)).collect();
    assert_eq!(said, [("pod-1", 7), ("pod-2", 6)]);
    assert_eq!(pods[0].session_keys, ["k2", "k1"]);
    assert_eq!((pods[0].upstreams[0].name.as_str(), pods[0].upstreams[0].credential.as_str()), ("one", "ok"));
    assert!(pods[1].upstreams.is_empty(), "what cannot be read says nothing");
}

#[tokio::test]
async fn people_are_counted_once_over_the_last_day() {
    let place = Place::migrated().await;
    let people = "
        INSERT INTO claude_gateway.policy_person (policy, subject, day)
        SELECT policy, subject, (now() AT TIME ZONE 'utc')::date - ago FROM (VALUES
            ('a/one', 'alice', 0), ('a/one', 'alice', 1), ('a/one', 'bob', 1), ('a/one', 'carol', 2), ('a/two', 'bob', 0)
        ) AS noted (policy, subject, ago)";
    place.postgres.execute(&place.url, people).await.unwrap();
    let people = place.store.people().await.unwrap();
    assert_eq!((people.len(), people["a/one"], people["a/two"]), (2, 2, 1));
}
