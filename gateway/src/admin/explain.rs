//! `GET /v1/organizations/policy/explain`, and what it shares with `claude-gateway explain`: one person, one question, and
//! everything that the answer rests on.

use std::fmt;

use axum::{Json, extract::State};
use serde::Serialize;

use super::{AdminError, Administrator, query::Query, routes::AdminState};
use crate::{
    identity::{Person, Subject},
    inference::{Models, Refusal, Shared},
    policy::{ExplainedLimit, Explanation, LivePolicies, Outcome},
    store::{Store, StoreError},
};

/// Who is asked about, and for which model.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// A subject or an e-mail address.
    pub user: String,
    pub groups: Vec<String>,
    pub model: Option<String>,
}

/// What explaining needs to know.
pub struct Explainer<'a> {
    pub policies: &'a LivePolicies,
    pub models: &'a Models,
    /// Where sessions and what is used are looked up; `None`: they stay unknown.
    pub store: Option<&'a Store>,
}

#[derive(Debug, Serialize)]
pub struct Explained {
    #[serde(rename = "type")]
    kind: &'static str,
    user: ExplainedUser,
    #[serde(flatten)]
    policy: Explanation,
    /// The ids of all models that the person may ask for.
    available_models: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<ModelDecision>,
}

#[derive(Debug, Serialize)]
struct ExplainedUser {
    user_id: Subject,
    email_address: Option<String>,
    /// Those that were asked about: the identity provider's are in nobody's hands but the person's.
    groups: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ModelDecision {
    model: String,
    granted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl Explainer<'_> {
    pub async fn explain(&self, question: &Question) -> Result<Explained, StoreError> {
        let person = self.person(question).await?;
        let (mut policy, effective) = self.policies.explain(&person);
        if let Some(store) = self.store {
            self.add_used(store, &person.sub, &mut policy.limits).await?;
        }
        let decision = question.model.as_ref().map(|model| {
            let refusal = self.models.grant(model, &effective).err();
            ModelDecision {
                model: model.clone(),
                granted: refusal.is_none(),
                reason: refusal.as_ref().map(Refusal::reason),
                message: refusal.map(|refusal| refusal.to_string()),
            }
        });
        let available_models = self.models.listed(&effective).into_iter().map(|listed| listed.id.clone()).collect();
        let Person { sub, email, name: _, groups } = person;
        let user = ExplainedUser { user_id: sub, email_address: email, groups };
        Ok(Explained { kind: "policy_explanation", user, policy, available_models, decision })
    }

    /// The newest session knows the other half of what a user is called; else the one half stands for itself.
    async fn person(&self, question: &Question) -> Result<Person, StoreError> {
        let Question { user, groups, model: _ } = question;
        let seen = match self.store {
            Some(store) => store.sessions_seen(Some(user), None, 1).await?.pop(),
            None => None,
        };
        let guessed = || user.contains('@').then(|| user.clone());
        let (sub, email) = match seen {
            Some(session) => (session.subject, session.email.or_else(guessed)),
            None => (Subject(user.clone()), guessed()),
        };
        Ok(Person { sub, email, name: None, groups: groups.clone() })
    }

    async fn add_used(
        &self,
        store: &Store,
        subject: &Subject,
        limits: &mut [ExplainedLimit],
    ) -> Result<(), StoreError> {
        for row in store.limit_states(subject).await? {
            for limit in limits.iter_mut().filter(|limit| limit.limit == row.key.meter.word()) {
                limit.used = Some(row.used);
            }
        }
        Ok(())
    }
}

/// `?user=&groups[]=&model=`
pub(super) async fn explain(
    State(state): State<AdminState>,
    _: Administrator,
    query: Query,
) -> Result<Json<Explained>, AdminError> {
    let query = query.only(&["user", "groups[]", "model"])?;
    let Some(user) = query.one("user")? else {
        return Err(AdminError::BadRequest("name whom to explain: ?user=<subject or e-mail address>".to_owned()));
    };
    let question = Question {
        user: user.to_owned(),
        groups: query.all("groups[]").map(str::to_owned).collect(),
        model: query.one("model")?.map(str::to_owned),
    };
    // What the pod serves with, so that the answer is the one that a request would get here.
    let Shared { policies, models, .. } = &*state.shared;
    let explainer = Explainer { policies, models, store: Some(&state.store) };
    Ok(Json(explainer.explain(&question).await?))
}

/// For a terminal.
impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ExplainedUser { user_id, email_address, groups } = &self.user;
        let address = email_address.as_deref().unwrap_or("no address known");
        let groups = if groups.is_empty() { "no groups".to_owned() } else { groups.join(", ") };
        writeln!(f, "{} ({address}; {groups}), policy revision {}", user_id.0, self.policy.revision)?;
        if let Some(decision) = &self.decision {
            match &decision.message {
                None => writeln!(f, "\n{}: granted", decision.model)?,
                Some(message) => writeln!(f, "\n{}: refused: {message}", decision.model)?,
            }
        }
        self.policies(f)?;
        writeln!(f, "\nmodels\n  {}", or_none(&self.available_models.join(", ")))?;
        self.limits(f)?;
        let retention = &self.policy.retention;
        let transcripts =
            retention.transcript_days.map_or("as the client likes".to_owned(), |days| format!("{days} days"));
        writeln!(f, "\nretention")?;
        writeln!(f, "  transcripts {transcripts}, telemetry {}, upstream {}", retention.telemetry, retention.upstream)?;
        self.settings(f)
    }
}

impl Explained {
    fn policies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\npolicies, in the order in which they are tried")?;
        let width = self.policy.policies.iter().map(|one| one.policy.0.len()).max().unwrap_or(0);
        for one in &self.policy.policies {
            let outcome = match &one.outcome {
                Outcome::Base => "base of all others".to_owned(),
                Outcome::Matched => "matched".to_owned(),
                Outcome::ComesLater { after } => format!("would match, but {after} comes first"),
                Outcome::AuditOnly => "matched in audit mode: logged, not enforced".to_owned(),
                Outcome::NoMatch { reason } => format!("no match: {reason}"),
            };
            writeln!(f, "  {:width$}  {outcome}", one.policy.0)?;
        }
        if self.policy.policies.is_empty() { writeln!(f, "  none") } else { Ok(()) }
    }

    fn limits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nlimits")?;
        for ExplainedLimit { limit, amount, origin, used } in &self.policy.limits {
            let used = used.map(|used| format!(", {used} used")).unwrap_or_default();
            writeln!(f, "  {limit} {amount}{used} ({origin})")?;
        }
        if self.policy.limits.is_empty() { writeln!(f, "  none") } else { Ok(()) }
    }

    fn settings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nsettings")?;
        let Some(settings) = &self.policy.settings else { return writeln!(f, "  no policy applies") };
        for (pointer, origins) in &settings.origins {
            let value = settings.value(pointer).map(ToString::to_string).unwrap_or_default();
            writeln!(f, "  {pointer} {value} ({})", origins.join(" and "))?;
        }
        if settings.origins.is_empty() { writeln!(f, "  an empty document") } else { Ok(()) }
    }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}
