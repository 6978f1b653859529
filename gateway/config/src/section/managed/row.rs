//! A policy as a row holds it: one JSON document in the words of the file, judged by the same tables.
//!
//! Whoever writes rows is not the operator of the machine that reads them, so nothing in one is looked up: `${…}` is plain
//! text everywhere.

use serde_json::{Map, Value, json};

use super::{Matcher, Policy, PolicyMode, Retention, TokenLimits, words::POLICY};
use crate::{
    check::Checker,
    complaint::{Complaint, ConfigErrors, Findings, Warning},
    expansion::Sources,
    fields::{Fields, Surroundings},
    path::FieldPath,
};

type Document = Map<String, Value>;

impl Policy {
    /// # Errors
    /// Everything that is wrong, at once; paths start at the document.
    pub fn from_document(document: &Value) -> Result<Self, ConfigErrors> {
        Self::judged(document).map(|(policy, _)| policy)
    }

    /// As [`from_document`](Self::from_document), and what is valid and seldom meant.
    ///
    /// # Errors
    /// The same.
    pub fn judged(document: &Value) -> Result<(Self, Vec<Warning>), ConfigErrors> {
        let Value::Object(document) = document else { return Err(refusal("is no mapping", "write it as an object")) };
        let (sources, findings) = (Sources::none(), Findings::default());
        let policy = {
            let root = FieldPath::root();
            let section = Checker { sources: &sources, findings: &findings }.section(document, &POLICY, &root);
            let surroundings = Surroundings { sources: &sources, findings: &findings, process: None };
            let fields = Fields::new(&section, root, &surroundings);
            super::check_one_spelling(std::slice::from_ref(&fields));
            Self::read(&fields)
        };
        let warnings = findings.into_verdict()?;
        // Without an error every part could be read.
        let policy = policy.ok_or_else(|| refusal("cannot be read whole", "report this, with the document"))?;
        Ok((policy, warnings))
    }

    /// What [`Self::from_document`] reads as this policy again.
    pub fn to_document(&self) -> Value {
        let Self { name, matcher, code, desktop, limits, retention, mode } = self;
        let mut document = Document::new();
        put(&mut document, "name", name.as_deref().map(Value::from));
        put(&mut document, "match", Some(Value::Object(matcher.to_document())));
        put(&mut document, "code", unless_empty(code.clone()));
        put(&mut document, "desktop", desktop.clone().map(Value::Object));
        put(&mut document, "limits", unless_empty(limits.to_document()));
        put(&mut document, "retention", unless_empty(retention.to_document()));
        let mode = match mode {
            PolicyMode::Enforce => "enforce",
            PolicyMode::Audit => "audit",
        };
        put(&mut document, "mode", Some(json!(mode)));
        Value::Object(document)
    }
}

impl Matcher {
    fn to_document(&self) -> Document {
        let Self { groups, email_domain, emails, subjects } = self;
        let list = |texts: &Vec<String>| (!texts.is_empty()).then(|| json!(texts));
        let mut document = Document::new();
        put(&mut document, "groups", list(groups));
        put(&mut document, "email_domain", email_domain.as_deref().map(Value::from));
        put(&mut document, "emails", list(emails));
        put(&mut document, "subjects", list(subjects));
        document
    }
}

impl TokenLimits {
    fn to_document(&self) -> Document {
        let mut document = Document::new();
        for (key, amount) in self.amounts() {
            put(&mut document, key, amount.map(Value::from));
        }
        put(&mut document, "count_cache_reads", self.count_cache_reads.map(Value::from));
        document
    }
}

impl Retention {
    fn to_document(&self) -> Document {
        let Self { transcript_days, telemetry, upstream } = self;
        let mut document = Document::new();
        put(&mut document, "transcript_days", transcript_days.map(Value::from));
        put(&mut document, "telemetry", telemetry.map(|detail| detail.word().into()));
        put(&mut document, "upstream", upstream.map(|retention| retention.word().into()));
        document
    }
}

fn put(document: &mut Document, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        document.insert(key.to_owned(), value);
    }
}

fn unless_empty(document: Document) -> Option<Value> {
    (!document.is_empty()).then_some(Value::Object(document))
}

fn refusal(problem: &str, remedy: &str) -> ConfigErrors {
    ConfigErrors::one(FieldPath::root().key("document"), Complaint::new(problem, remedy))
}
