//! The rules of a ClaudeGateway, one by one.

mod accounts;
mod reach;
mod state;

use serde_json::{Value, json};

use super::{Case, Change, accepted, objects::all, refused};

pub fn cases() -> Vec<Case> {
    let whole = all().map(|(name, object)| accepted(name, object)).into_iter();
    whole
        .chain(reach::addresses())
        .chain(state::replicas_and_image())
        .chain(reach::exposure())
        .chain(state::database())
        .chain(accounts::oidc())
        .chain(accounts::upstreams())
        .chain(accounts::models_and_admin())
        .chain(reach::network())
        .chain(reach::names())
        .collect()
}

/// Texts at one path: those that are accepted, and those that its rule refuses.
fn texts(base: fn() -> Value, path: &str, says: &str, good: &[&str], bad: &[&str]) -> Vec<Case> {
    let name = |text: &&str| format!("{path}: {text}");
    let object = |text: &&str| base().with(path, json!(text));
    let good = good.iter().map(|text| accepted(&name(text), object(text)));
    let bad = bad.iter().map(|text| refused(&name(text), object(text), path, says));
    good.chain(bad).collect()
}
