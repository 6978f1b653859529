//! Whom a policy is for: facts about a person, numbered, and matchers that ask for numbers.
//!
//! Only what some matcher asks for is a fact. So people who differ in nothing that a policy looks at have the same facts, and
//! what holds for one of them holds for all.

use std::{borrow::Borrow, collections::HashMap};

use gateway_config::Matcher;

use crate::identity::Person;

/// Every value that the matchers of one set ask for. A value has one number, whoever asks.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    groups: HashMap<Box<str>, u32>,
    domains: HashMap<Box<str>, u32>,
    emails: HashMap<Box<str>, u32>,
    subjects: HashMap<Box<str>, u32>,
    next: u32,
}

/// What of a person matters, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Facts(Vec<u32>);

/// Every list that is not empty must hold one of a person's facts.
#[derive(Debug, Default)]
pub(super) struct Numbered {
    lists: [Vec<u32>; 4],
}

impl Vocabulary {
    pub(super) fn number(&mut self, matcher: &Matcher) -> Numbered {
        let Matcher { groups, email_domain, emails, subjects } = matcher;
        let Self { groups: by_group, domains: by_domain, emails: by_email, subjects: by_subject, next } = self;
        let lists = [
            numbers(by_group, next, groups.iter().cloned()),
            numbers(by_domain, next, email_domain.iter().map(|domain| domain.to_lowercase())),
            numbers(by_email, next, emails.iter().map(|email| email.to_lowercase())),
            numbers(by_subject, next, subjects.iter().cloned()),
        ];
        Numbered { lists }
    }

    pub(super) fn facts(&self, person: &Person) -> Facts {
        let mut facts: Vec<u32> = Vec::new();
        facts.extend(person.groups.iter().filter_map(|group| self.groups.get(group.as_str())));
        facts.extend(self.subjects.get(person.sub.0.as_str()));
        if !(self.emails.is_empty() && self.domains.is_empty())
            && let Some(email) = person.email.as_ref().map(|email| email.to_lowercase())
        {
            facts.extend(self.emails.get(email.as_str()));
            facts.extend(email.rsplit_once('@').and_then(|(_, domain)| self.domains.get(domain)));
        }
        facts.sort_unstable();
        facts.dedup();
        Facts(facts)
    }
}

impl Numbered {
    pub(super) fn matches(&self, facts: &Facts) -> bool {
        self.lists.iter().all(|list| list.is_empty() || facts.0.iter().any(|fact| list.binary_search(fact).is_ok()))
    }
}

impl Borrow<[u32]> for Facts {
    fn borrow(&self) -> &[u32] {
        &self.0
    }
}

fn numbers(known: &mut HashMap<Box<str>, u32>, next: &mut u32, values: impl Iterator<Item = String>) -> Vec<u32> {
    let mut numbers: Vec<u32> = values
        .map(|value| {
            *known.entry(value.into()).or_insert_with(|| {
                *next += 1;
                *next
            })
        })
        .collect();
    numbers.sort_unstable();
    numbers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::identity::Subject;

    fn person(sub: &str, email: Option<&str>, groups: &[&str]) -> Person {
        Person {
            sub: Subject(sub.to_owned()),
            email: email.map(str::to_owned),
            name: None,
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn matches(matcher: &Matcher, person: &Person) -> bool {
        let mut vocabulary = Vocabulary::default();
        let numbered = vocabulary.number(matcher);
        numbered.matches(&vocabulary.facts(person))
    }

    #[test]
    fn every_part_that_is_written_has_to_match() {
        let matcher = Matcher {
            groups: texts(&["eng", "ops"]),
            email_domain: Some("example.com".to_owned()),
            ..Matcher::default()
        };
        assert!(matches(&matcher, &person("a", Some("a@example.com"), &["ops"])));
        assert!(!matches(&matcher, &person("a", Some("a@example.com"), &["sales"])));
        assert!(!matches(&matcher, &person("a", Some("a@example.org"), &["eng"])));
        assert!(!matches(&matcher, &person("a", None, &["eng"])));
    }

    #[test]
    fn groups_and_subjects_are_exact_and_addresses_are_not_about_case() {
        let groups = Matcher { groups: texts(&["Eng"]), ..Matcher::default() };
        assert!(matches(&groups, &person("a", None, &["Eng"])) && !matches(&groups, &person("a", None, &["eng"])));
        let subjects = Matcher { subjects: texts(&["abc"]), ..Matcher::default() };
        assert!(matches(&subjects, &person("abc", None, &[])) && !matches(&subjects, &person("ABC", None, &[])));
        let emails = Matcher { emails: texts(&["a@example.com"]), ..Matcher::default() };
        assert!(matches(&emails, &person("x", Some("A@Example.COM"), &[])));
        let domain = Matcher { email_domain: Some("example.com".to_owned()), ..Matcher::default() };
        assert!(matches(&domain, &person("x", Some("A@Example.COM"), &[])));
        assert!(matches(&domain, &person("x", Some("\"odd@local\"@example.com"), &[])), "what follows the last @");
        assert!(!matches(&domain, &person("x", Some("a@sub.example.com"), &[])));
        assert!(!matches(&domain, &person("x", Some("a@example.com@evil.example"), &[])));
    }

    #[test]
    fn a_value_of_one_kind_is_no_fact_of_another() {
        let matcher = Matcher { subjects: texts(&["eng"]), ..Matcher::default() };
        assert!(!matches(&matcher, &person("a", Some("eng"), &["eng"])));
        let matcher = Matcher { email_domain: Some("a@b".to_owned()), ..Matcher::default() };
        assert!(!matches(&matcher, &person("a", Some("a@b"), &[])));
    }

    #[test]
    fn whoever_differs_in_nothing_that_is_asked_has_the_same_facts() {
        let mut vocabulary = Vocabulary::default();
        vocabulary.number(&Matcher { groups: texts(&["eng"]), ..Matcher::default() });
        let one = vocabulary.facts(&person("a", Some("a@example.com"), &["eng", "chess"]));
        assert_eq!(one, vocabulary.facts(&person("b", None, &["running", "eng", "eng"])));
        assert_ne!(one, vocabulary.facts(&person("a", Some("a@example.com"), &["chess"])));
    }

    /// The same by comparing words, as the document says it.
    fn plainly(matcher: &Matcher, person: &Person) -> bool {
        let email = person.email.as_ref().map(|email| email.to_lowercase());
        let domain = email.as_ref().and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain.to_owned());
        (matcher.groups.is_empty() || matcher.groups.iter().any(|group| person.groups.contains(group)))
            && (matcher.email_domain.is_none() || matcher.email_domain == domain)
            && (matcher.emails.is_empty() || email.is_some_and(|email| matcher.emails.contains(&email)))
            && (matcher.subjects.is_empty() || matcher.subjects.contains(&person.sub.0))
    }

    fn word() -> impl Strategy<Value = String> {
        prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(str::to_owned)
    }

    proptest! {
        #[test]
        fn numbers_match_as_words_do(
            matchers in prop::collection::vec(
                (prop::collection::vec(word(), 0..3), prop::option::of(word()), prop::collection::vec(word(), 0..3),
                 prop::collection::vec(word(), 0..3)), 1..6),
            sub in word(), email in prop::option::of((word(), word())), groups in prop::collection::vec(word(), 0..4),
        ) {
            let matchers: Vec<_> = matchers.into_iter().map(|(groups, email_domain, emails, subjects)| {
                let emails = emails.into_iter().map(|local| format!("{local}@a")).collect();
                Matcher { groups, email_domain, emails, subjects }
            }).collect();
            let email = email.map(|(local, domain)| format!("{}@{domain}", local.to_uppercase()));
            let person = Person { sub: Subject(sub), email, name: None, groups };
            let mut vocabulary = Vocabulary::default();
            let numbered: Vec<_> = matchers.iter().map(|matcher| vocabulary.number(matcher)).collect();
            let facts = vocabulary.facts(&person);
            for (matcher, numbered) in matchers.iter().zip(&numbered) {
                prop_assert_eq!(numbered.matches(&facts), plainly(matcher, &person));
            }
        }
    }
}
