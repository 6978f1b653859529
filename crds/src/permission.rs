//! Whether a gateway takes a policy, as far as the two objects can say, and which of two policies is tried first.
//!
//! Invariant: a policy of another namespace matches nobody and says nothing that its namespace's entry does not allow. What a
//! refusal tells does not depend on anything that the policy's author may not see.

use std::cmp::Reverse;

use thiserror::Error;

use crate::{
    gateway::{ClaudeGateway, policies::AllowedPolicies},
    policy::{UserPolicy, UserPolicySpec, matching::Match},
};

/// Why a policy of another namespace is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotPermitted {
    /// Said of a gateway that does not exist, too.
    #[error(
        "there is no such gateway, or it does not accept policies of this namespace: ask its owner to name the namespace \
         in policies.allowed"
    )]
    Namespace,
    #[error("match.groups has to name groups, and only those that the gateway's owner allows this namespace")]
    Groups,
    #[error(
        "match has to name an emailDomain or emails, and only of the domains that the gateway's owner allows this namespace"
    )]
    EmailDomains,
    #[error("priority is outside of what the gateway's owner allows this namespace")]
    Priority,
    #[error(
        "claudeCode and desktop can run commands on developers' machines, and the gateway's owner does not allow this \
         namespace to set them: remove them"
    )]
    ManagedSettings,
}

impl ClaudeGateway {
    /// # Errors
    /// The first reason why the policy is not accepted here.
    pub fn permits(&self, policy: &UserPolicy) -> Result<(), NotPermitted> {
        if self.metadata.namespace == policy.metadata.namespace {
            return Ok(());
        }
        let namespace = policy.metadata.namespace.as_deref().unwrap_or_default();
        let allowed = self.spec.policies.as_ref().map(|policies| policies.allowed.as_slice()).unwrap_or_default();
        let entry = allowed.iter().find(|entry| entry.namespace == namespace).ok_or(NotPermitted::Namespace)?;
        entry.permits(&policy.spec)
    }
}

impl AllowedPolicies {
    fn permits(&self, policy: &UserPolicySpec) -> Result<(), NotPermitted> {
        let Self { namespace: _, groups, email_domains, min_priority, max_priority, managed_settings } = self;
        if !groups.is_empty() && !within_groups(&policy.matcher, groups) {
            return Err(NotPermitted::Groups);
        }
        if !email_domains.is_empty() && !within_domains(&policy.matcher, email_domains) {
            return Err(NotPermitted::EmailDomains);
        }
        let least = min_priority.unwrap_or(i32::MIN);
        let most = max_priority.unwrap_or(i32::MAX);
        if !(least..=most).contains(&policy.priority) {
            return Err(NotPermitted::Priority);
        }
        if !managed_settings && (policy.claude_code.is_some() || policy.desktop.is_some()) {
            return Err(NotPermitted::ManagedSettings);
        }
        Ok(())
    }
}

/// Every part that is written has to match, so one part within its bounds is enough.
fn within_groups(matcher: &Match, allowed: &[String]) -> bool {
    !matcher.groups.is_empty() && matcher.groups.iter().all(|group| allowed.contains(group))
}

fn within_domains(matcher: &Match, allowed: &[String]) -> bool {
    let is_allowed = |domain: &str| allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(domain));
    let of_domain = matcher.email_domain.as_deref().is_some_and(is_allowed);
    let of_emails = !matcher.emails.is_empty()
        && matcher.emails.iter().all(|email| email.rsplit_once('@').is_some_and(|(_, domain)| is_allowed(domain)));
    of_domain || of_emails
}

impl UserPolicy {
    /// Sorts policies into the order in which they are tried: the higher priority first, then by namespace and name.
    pub fn precedence(&self) -> (Reverse<i32>, &str, &str) {
        (
            Reverse(self.spec.priority),
            self.metadata.namespace.as_deref().unwrap_or_default(),
            self.metadata.name.as_deref().unwrap_or_default(),
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn gateway(allowed: Value) -> ClaudeGateway {
        let secret = json!({"name": "secrets", "key": "key"});
        serde_json::from_value(json!({
            "apiVersion": "claude-gateway.dev/v1alpha1",
            "kind": "ClaudeGateway",
            "metadata": {"name": "claude", "namespace": "platform"},
            "spec": {
                "publicUrl": "https://claude.example.com",
                "exposure": {"kind": "None"},
                "database": {"urlSecretRef": secret},
                "oidc": {"issuer": "https://login.example.com", "clientId": "claude", "clientSecretRef": secret},
                "upstreams": [{"name": "anthropic", "provider": {"anthropic": {"auth": {"apiKeySecretRef": secret}}}}],
                "policies": {"allowed": allowed},
            },
        }))
        .unwrap()
    }

    fn policy(namespace: &str, name: &str, mut spec: Value) -> UserPolicy {
        spec["gatewayRef"] = json!({"name": "claude", "namespace": "platform"});
        serde_json::from_value(json!({
            "apiVersion": "claude-gateway.dev/v1alpha1",
            "kind": "UserPolicy",
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn a_gateway_takes_every_policy_of_its_own_namespace_and_no_other() {
        let gateway = gateway(json!([{"namespace": "data"}]));
        let settings = json!({"priority": 9_999, "claudeCode": {}});
        assert_eq!(gateway.permits(&policy("platform", "any", settings)), Ok(()));
        assert_eq!(gateway.permits(&policy("data", "any", json!({}))), Ok(()));
        assert_eq!(gateway.permits(&policy("sales", "any", json!({}))), Err(NotPermitted::Namespace));
    }

    #[test]
    fn another_namespace_matches_only_the_groups_it_was_given() {
        let gateway = gateway(json!([{"namespace": "data", "groups": ["data", "ml"]}]));
        let verdict = |matcher: Value| gateway.permits(&policy("data", "one", json!({"match": matcher})));
        assert_eq!(verdict(json!({"groups": ["ml"]})), Ok(()));
        assert_eq!(verdict(json!({"groups": ["ml"], "emails": ["a@example.com"]})), Ok(()));
        for beyond in
            [json!({}), json!({"groups": ["ml", "admins"]}), json!({"groups": ["ML"]}), json!({"subjects": ["1"]})]
        {
            assert_eq!(verdict(beyond.clone()), Err(NotPermitted::Groups), "{beyond}");
        }
    }

    #[test]
    fn another_namespace_matches_only_the_domains_it_was_given() {
        let gateway = gateway(json!([{"namespace": "data", "emailDomains": ["lab.example.com"]}]));
        let verdict = |matcher: Value| gateway.permits(&policy("data", "one", json!({"match": matcher})));
        assert_eq!(verdict(json!({"emailDomain": "Lab.example.com"})), Ok(()));
        assert_eq!(verdict(json!({"emails": ["a@LAB.example.com"]})), Ok(()));
        let beyond = [
            json!({}),
            json!({"groups": ["ml"]}),
            json!({"emailDomain": "example.com"}),
            json!({"emails": ["a@lab.example.com", "b@example.com"]}),
            json!({"emails": ["a@evil.lab.example.com"]}),
        ];
        for beyond in beyond {
            assert_eq!(verdict(beyond.clone()), Err(NotPermitted::EmailDomains), "{beyond}");
        }
    }

    #[test]
    fn another_namespace_keeps_to_its_priorities_and_sets_nothing_that_runs_commands() {
        let bounded = gateway(json!([{"namespace": "data", "minPriority": 10, "maxPriority": 20}]));
        for (priority, verdict) in
            [(9, Err(NotPermitted::Priority)), (10, Ok(())), (20, Ok(())), (21, Err(NotPermitted::Priority))]
        {
            assert_eq!(bounded.permits(&policy("data", "one", json!({"priority": priority}))), verdict, "{priority}");
        }
        let open = gateway(json!([{"namespace": "data", "managedSettings": true}]));
        let closed = gateway(json!([{"namespace": "data"}]));
        for settings in [json!({"claudeCode": {}}), json!({"desktop": {}})] {
            let policy = policy("data", "one", settings);
            assert_eq!(open.permits(&policy), Ok(()));
            assert_eq!(closed.permits(&policy), Err(NotPermitted::ManagedSettings));
        }
    }

    #[test]
    fn policies_are_tried_by_priority_then_by_namespace_and_name() {
        let mut policies = [
            policy("b", "a", json!({"priority": 1})),
            policy("a", "b", json!({"priority": 1})),
            policy("a", "a", json!({})),
            policy("a", "a", json!({"priority": 1})),
            policy("z", "z", json!({"priority": 2})),
        ];
        policies.sort_by(|one, other| one.precedence().cmp(&other.precedence()));
        let order: Vec<_> = policies
            .iter()
            .map(|policy| (policy.spec.priority, policy.precedence().1, policy.precedence().2))
            .collect();
        assert_eq!(order, [(2, "z", "z"), (1, "a", "a"), (1, "a", "b"), (1, "b", "a"), (0, "a", "a")]);
    }
}
