//! Who may come in. The provider has vouched for the claims already; these are the operator's rules on them.

use gateway_config::Oidc;

use super::{
    claims::Facts,
    person::{AdmittedPerson, Person, Subject},
};

/// The proof that the rules passed is the person.
pub(super) fn admit(config: &Oidc, sub: Subject, facts: Facts) -> Result<AdmittedPerson, &'static str> {
    if facts.email_refuted() {
        return Err("the provider says that the e-mail address is not verified");
    }
    let Facts { email, name, groups, email_verified: _ } = facts;
    if !config.allowed_email_domains.is_empty() && !domain_allowed(&config.allowed_email_domains, email.as_deref()) {
        return Err("the e-mail domain is not among the allowed ones");
    }
    let groups = groups.unwrap_or_default();
    if !config.allowed_groups.is_empty() && !groups.iter().any(|group| config.allowed_groups.contains(group)) {
        return Err("no group of theirs is among the allowed ones");
    }
    Ok(AdmittedPerson::vouched(Person { sub, email, name, groups }))
}

/// An address with two `@` could mean either domain, so it means neither.
fn domain_allowed(allowed: &[String], email: Option<&str>) -> bool {
    let Some((local, domain)) = email.and_then(|email| email.split_once('@')) else { return false };
    !local.is_empty() && !domain.contains('@') && allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(domain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::relying_party::test_config;

    fn facts(email: &str, groups: &[&str]) -> Facts {
        Facts {
            email: Some(email.to_owned()),
            groups: Some(groups.iter().map(|group| (*group).to_owned()).collect()),
            ..Facts::default()
        }
    }

    fn admitted(config: &Oidc, facts: Facts) -> bool {
        admit(config, Subject("alice".to_owned()), facts).is_ok()
    }

    #[test]
    fn without_rules_everybody_whose_email_is_not_refuted_comes_in() {
        let config = test_config();
        assert!(admitted(&config, Facts::default()));
        assert!(!admitted(&config, Facts { email_verified: Some(false), ..facts("alice@example.com", &[]) }));
    }

    #[test]
    fn domains_are_compared_whole_and_without_case() {
        let config = Oidc { allowed_email_domains: vec!["example.com".to_owned()], ..test_config() };
        assert!(admitted(&config, facts("alice@EXAMPLE.com", &[])));
        for stranger in [
            "alice@sub.example.com",
            "alice@notexample.com",
            "alice@example.com.evil.test",
            "alice@evil.test@example.com",
            "alice@example.com@evil.test",
            "@example.com",
            "example.com",
            "",
        ] {
            assert!(!admitted(&config, facts(stranger, &[])), "{stranger}");
        }
        assert!(!admitted(&config, Facts::default()), "no e-mail at all");
    }

    #[test]
    fn groups_are_compared_exactly() {
        let config = Oidc { allowed_groups: vec!["eng".to_owned()], ..test_config() };
        assert!(admitted(&config, facts("a@b.c", &["sales", "eng"])));
        for stranger in ["Eng", "eng ", "engineering", ""] {
            assert!(!admitted(&config, facts("a@b.c", &[stranger])), "{stranger:?}");
        }
        assert!(!admitted(&config, Facts::default()), "no groups at all");
    }
}
