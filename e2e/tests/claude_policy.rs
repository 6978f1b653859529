//! An unmodified Claude Code under a policy of its gateway: what it is told, what it may not do, and how it learns of an edit.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::cast::{
    claude::{ClaudeCode, Terminal},
    gateway::Gateway,
    node::{CertifiedProvider, Walk},
    postgres::Postgres,
    provider::{Message, PLAIN_TEXT, Provider},
};
use serde_json::{Value, json};
use tokio::time::sleep;

const OPUS: &str = "claude-opus-4-7";

struct Developer {
    gateway: Gateway,
    model: Provider,
    claude: ClaudeCode,
    _people: CertifiedProvider,
    _store: Postgres,
}

impl Developer {
    /// At a terminal of hers, where she has just signed in.
    async fn under(policy: Value) -> Result<(Self, Terminal)> {
        let config = Gateway::config()?;
        let people = CertifiedProvider::start(&[&config.redirect_uri()]).await?;
        let (model, store) = (Provider::start()?, Postgres::start().await?);
        let config = config.issuer(people.issuer()).store(&store.url()).upstream("cast", &model);
        let gateway = config.set("/managed/policies", json!([policy])).start().await?;
        let claude = ClaudeCode::managed_for(&gateway.url()).await?;
        let terminal = claude.open().await?;
        let code = terminal.ask_to_sign_in(false).await?;
        let walk = Walk::approve(&format!("{}/device", gateway.url()), &code, "alice").await?;
        ensure!(walk.failed.is_none(), "{walk:?}");
        terminal.confirm_account("alice@example.com").await?;
        Ok((Self { gateway, model, claude, _people: people, _store: store }, terminal))
    }

    /// What a tool answered that the model called, in the words that the model is told.
    async fn tool(&self, name: &str, input: Value) -> Result<String> {
        let call = Message::new(OPUS).tool_use(name, &input);
        self.model.then_stream(&call).then_stream(&Message::new(OPUS).text("It was done."));
        self.model.take_requests();
        let printed = self.claude.print("do it").await?;
        ensure!(printed.text == "It was done.", "{printed:?}");
        let asked = self.model.take_requests();
        let body = asked.last().map(|request| request.json()).transpose()?.unwrap_or_default();
        let told = body["messages"].as_array().and_then(|messages| messages.last()).cloned().unwrap_or_default();
        Ok(told["content"].to_string())
    }
}

/// What could run code on her machine, a developer is asked about once.
async fn trust_settings(terminal: &Terminal) -> Result<String> {
    let asked = terminal.wait_for("Managed settings require approval").await?;
    terminal.wait_for("Enter to select").await?;
    // It takes no key in its first moment.
    sleep(Duration::from_secs(1)).await;
    terminal.press(&["Down"]).await?;
    terminal.wait_for("❯ Yes, I trust these settings").await?;
    terminal.press(&["Enter"]).await?;
    terminal.wait_for("from managed settings").await?;
    Ok(asked)
}

#[tokio::test]
async fn claude_code_follows_the_policy_of_its_gateway() {
    let policy = json!({
        "name": "everyone",
        "match": {},
        "code": {
            "env": {"CAST_PUSHED": "told by the gateway"},
            "permissions": {"allow": ["Bash(printenv *)"], "deny": ["WebFetch"]},
            "availableModels": [OPUS, "claude-opus-4-8", "claude-haiku-4-5"],
            // A spelling that the client reads, so the gateway must.
            "deniedModels": ["opus-4-8"],
            "model": OPUS,
        },
        "limits": {"max_output_tokens": 4321},
        "retention": {"transcript_days": 7},
    });
    let (mut developer, terminal) = Developer::under(policy).await.unwrap();
    let asked = trust_settings(&terminal).await.unwrap();
    assert!(asked.contains("CAST_PUSHED") && !asked.contains("MAX_OUTPUT"), "{asked}");

    terminal.say("/model").await.unwrap();
    let offered = terminal.wait_for("Enter to save").await.unwrap();
    assert!(offered.contains("Opus 4.7") && offered.contains("Haiku 4.5"), "{offered}");
    assert!(!offered.contains("Sonnet") && !offered.contains("Opus 4.8"), "{offered}");
    terminal.press(&["Escape"]).await.unwrap();
    terminal.say("/status").await.unwrap();
    terminal.wait_for("Enterprise managed settings (remote)").await.unwrap();
    drop(terminal);

    let told = developer.tool("Bash", json!({"command": "printenv CAST_PUSHED", "description": "say"})).await.unwrap();
    assert!(told.contains("told by the gateway"), "{told}");
    let refused = developer.tool("WebFetch", json!({"url": "https://example.com", "prompt": "what"})).await.unwrap();
    assert!(refused.contains("WebFetch is disabled"), "{refused}");

    let other = developer.claude.print_with(&["--model", "claude-sonnet-5"], "hello").await.unwrap();
    assert_eq!(other.text, PLAIN_TEXT);
    assert!(other.complaint.contains("restricted by your organization's settings"), "{other:?}");
    let request = developer.model.take_requests().pop().unwrap().json().unwrap();
    assert_eq!((&request["model"], &request["max_tokens"]), (&json!(OPUS), &json!(4321)));
    let denied = developer.claude.print_with(&["--model", "claude-opus-4-8"], "hello").await.unwrap();
    assert!(
        denied.complaint.contains("\"claude-opus-4-8\" is restricted by your organization's settings"),
        "{denied:?}"
    );
    developer.model.take_requests();

    // The client has kept the document by its checksum: so far it was sent once.
    assert_eq!(developer.gateway.audit("managed.serve").len(), 1);
    let anew = json!("told anew");
    developer.gateway.rewrite(|file| file["managed"]["policies"][0]["code"]["env"]["CAST_PUSHED"] = anew).unwrap();
    developer.gateway.wait_for_audit("policy.reload", 1).await.unwrap();
    let told = developer.tool("Bash", json!({"command": "printenv CAST_PUSHED", "description": "say"})).await.unwrap();
    assert!(told.contains("told anew"), "{told}");
    let served = developer.gateway.wait_for_audit("managed.serve", 2).await.unwrap();
    assert_eq!((&served[1]["base"], &served[1]["revision"]), (&json!("everyone"), &json!(2)));
    assert_ne!(served[0]["checksum"], served[1]["checksum"]);
}

#[tokio::test]
async fn a_session_that_runs_is_refused_a_model_that_was_taken_away_and_says_why() {
    let models =
        |models: Value| json!({"name": "everyone", "match": {}, "code": {"availableModels": models, "model": OPUS}});
    let (mut developer, terminal) = Developer::under(models(json!([OPUS, "haiku"]))).await.unwrap();
    // What is typed while it takes its settings in, it loses.
    terminal.wait_for("from managed settings").await.unwrap();
    terminal.say("hello").await.unwrap();
    terminal.wait_for(PLAIN_TEXT).await.unwrap();
    developer.gateway.rewrite(|file| file["managed"]["policies"] = json!([models(json!(["haiku"]))])).unwrap();
    developer.gateway.wait_for_audit("policy.reload", 1).await.unwrap();
    terminal.say("hello again").await.unwrap();
    let screen = terminal.wait_for("availableModels").await.unwrap();
    assert!(screen.contains(OPUS), "{screen}");
}
