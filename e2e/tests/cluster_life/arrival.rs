//! From an empty cluster to an answer in somebody's terminal.

use std::collections::BTreeSet;

use e2e::cast::{claude::ClaudeCode, node::Walk, provider::PLAIN_TEXT};

use crate::stage::{HOST, Stage, turn};

/// One connection of the front may lead to either pod.
const PROMPTS: usize = 12;

/// The stage is `helm install --wait`, `kubectl apply` of the minimal sample and `kubectl wait --for=condition=Ready`.
#[tokio::test]
async fn an_unmodified_claude_code_signs_in_through_the_ingress_and_is_answered_by_pods_on_both_nodes() {
    let test = "an_unmodified_claude_code_signs_in_through_the_ingress_and_is_answered_by_pods_on_both_nodes";
    let Some(turn) = turn(test).await else { return };
    let (stage, url) = (turn.stage, format!("https://{HOST}"));
    let nodes: BTreeSet<_> = stage.pods().await.into_iter().map(|pod| pod.node).collect();
    assert_eq!(nodes.len(), 2, "{nodes:?}");

    let claude = ClaudeCode::managed_for(&url).await.unwrap();
    let claude = claude.trusting(stage.surroundings.front.authority_pem()).unwrap();
    let terminal = claude.open().await.unwrap();
    let code = terminal.ask_to_sign_in(false).await.unwrap();
    let walk = Walk::approve(&format!("{url}/device"), &code, "alice").await.unwrap();
    assert!(walk.failed.is_none(), "{walk:?}");
    terminal.confirm_account("alice@example.com").await.unwrap();
    terminal.say("hello").await.unwrap();
    terminal.wait_for(PLAIN_TEXT).await.unwrap();
    drop(terminal);

    for _ in 0..PROMPTS {
        let printed = claude.print("hello").await.unwrap();
        assert_eq!((printed.code, printed.text.as_str()), (Some(0), PLAIN_TEXT), "{printed:?}");
        if everybody_answered(stage).await {
            break;
        }
    }
    assert!(everybody_answered(stage).await, "a pod was never asked");
    assert_eq!(stage.surroundings.model.faults(), Vec::<String>::new());
}

/// Each pod's log says of a reply to a model request.
async fn everybody_answered(stage: &Stage) -> bool {
    for pod in stage.pods().await {
        let log = stage.run(&format!("logs {}", pod.name)).await;
        if !log.lines().any(|line| line.contains(r#""evt":"inference""#) && line.contains(r#""status":200"#)) {
            return false;
        }
    }
    true
}
