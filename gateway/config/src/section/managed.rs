//! `managed`: policies, which say who may do what and which settings a client gets.

mod documents;
mod form;
mod reference;
mod row;
mod words;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::oidc;
use crate::{complaint::Complaint, fields::Fields};

pub(crate) use words::MANAGED;

/// The three spellings of the settings document, the one to write first.
const SPELLINGS: [&str; 3] = ["code", "cli", "settings"];

#[derive(Debug, Clone)]
pub struct Managed {
    pub source: PolicySource,
    /// In the file's order; the first match wins.
    pub policies: Vec<Policy>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicySource {
    File,
    Store,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    pub name: Option<String>,
    pub matcher: Matcher,
    /// A managed-settings document of Claude Code, as it stands.
    pub code: Map<String, Value>,
    /// Present, even if empty: Claude Desktop may fetch its configuration.
    pub desktop: Option<Map<String, Value>>,
    pub limits: TokenLimits,
    pub retention: Retention,
    pub mode: PolicyMode,
}

/// Every part that is there has to match; with none it is the base that the others build on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matcher {
    /// Exact and case-sensitive; one of them is enough.
    pub groups: Vec<String>,
    /// Lower case, without `@`.
    pub email_domain: Option<String>,
    /// Lower case.
    pub emails: Vec<String>,
    pub subjects: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenLimits {
    pub max_input_tokens: Option<u64>,
    pub max_output_tokens: Option<u64>,
    pub tokens_per_minute: Option<u64>,
    pub tokens_per_day: Option<u64>,
    pub tokens_per_month: Option<u64>,
    pub requests_per_minute: Option<u64>,
    pub concurrent_requests: Option<u64>,
    pub count_cache_reads: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retention {
    pub transcript_days: Option<u32>,
    pub telemetry: Option<TelemetryDetail>,
    pub upstream: Option<UpstreamRetention>,
}

/// From the laxest to the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TelemetryDetail {
    Full,
    Redacted,
    None,
}

/// From the laxest to the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UpstreamRetention {
    Any,
    Zero,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyMode {
    Enforce,
    /// Its verdict is logged, and the next match decides.
    Audit,
}

impl Matcher {
    pub fn is_base(&self) -> bool {
        *self == Self::default()
    }
}

impl TokenLimits {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Every limit that is a number, by its key.
    pub fn amounts(&self) -> [(&'static str, Option<u64>); 7] {
        let Self {
            max_input_tokens,
            max_output_tokens,
            tokens_per_minute,
            tokens_per_day,
            tokens_per_month,
            requests_per_minute,
            concurrent_requests,
            count_cache_reads: _,
        } = *self;
        [
            ("max_input_tokens", max_input_tokens),
            ("max_output_tokens", max_output_tokens),
            ("tokens_per_minute", tokens_per_minute),
            ("tokens_per_day", tokens_per_day),
            ("tokens_per_month", tokens_per_month),
            ("requests_per_minute", requests_per_minute),
            ("concurrent_requests", concurrent_requests),
        ]
    }
}

impl TelemetryDetail {
    /// As the file says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Redacted => "redacted",
            Self::None => "none",
        }
    }
}

impl UpstreamRetention {
    /// As the file says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Zero => "zero",
        }
    }
}

impl Managed {
    pub(crate) fn read(fields: &Fields<'_>) -> Option<Self> {
        let source = match fields.text("source")? {
            "store" => PolicySource::Store,
            _ => PolicySource::File,
        };
        if source == PolicySource::Store && fields.written("policies") {
            fields.refuse(
                "policies",
                "stands beside source: store",
                "keep the policies in one place: remove one of the two",
            );
        }
        let entries = fields.sections("policies");
        check_one_spelling(&entries);
        let policies: Vec<_> = entries.iter().filter_map(Policy::read).collect();
        check_distinct(&entries);
        Some(Self { source, policies })
    }
}

impl Policy {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let matcher = fields.section("match").map(|fields| Matcher::read(&fields));
        let spelling = SPELLINGS.into_iter().find(|key| fields.written(key));
        let code = spelling.and_then(|key| fields.document(key).map(|document| (key, document)));
        if let Some((key, document)) = code {
            documents::check_code(document, key, fields);
        }
        let desktop = fields.document("desktop");
        if let Some(document) = desktop {
            documents::check_desktop(document, fields);
        }
        Some(Self {
            name: fields.owned("name"),
            matcher: matcher?,
            code: code.map(|(_, document)| document.clone()).unwrap_or_default(),
            desktop: desktop.cloned(),
            limits: fields.section("limits").map(|fields| TokenLimits::read(&fields)).unwrap_or_default(),
            retention: fields.section("retention").map(|fields| Retention::read(&fields)).unwrap_or_default(),
            mode: if fields.text("mode")? == "audit" { PolicyMode::Audit } else { PolicyMode::Enforce },
        })
    }
}

impl Matcher {
    fn read(fields: &Fields<'_>) -> Self {
        for key in ["groups", "emails", "subjects"] {
            if fields.written(key) && !fields.has_entries(key) {
                fields.refuse(key, "is an empty list, which matches nobody", "name some, or remove the key");
            }
        }
        Self {
            groups: fields.owned_texts("groups"),
            email_domain: fields.parsed("email_domain", oidc::email_domain),
            emails: fields.parsed_texts("emails", |text| oidc::email(text).map(|email| email.to_lowercase())),
            subjects: fields.owned_texts("subjects"),
        }
    }
}

impl TokenLimits {
    fn read(fields: &Fields<'_>) -> Self {
        Self {
            max_input_tokens: fields.whole("max_input_tokens"),
            max_output_tokens: fields.whole("max_output_tokens"),
            tokens_per_minute: fields.whole("tokens_per_minute"),
            tokens_per_day: fields.whole("tokens_per_day"),
            tokens_per_month: fields.whole("tokens_per_month"),
            requests_per_minute: fields.whole("requests_per_minute"),
            concurrent_requests: fields.whole("concurrent_requests"),
            count_cache_reads: fields.flag("count_cache_reads"),
        }
    }
}

impl Retention {
    fn read(fields: &Fields<'_>) -> Self {
        Self {
            transcript_days: fields.whole("transcript_days"),
            telemetry: fields.text("telemetry").map(|text| match text {
                "full" => TelemetryDetail::Full,
                "redacted" => TelemetryDetail::Redacted,
                _ => TelemetryDetail::None,
            }),
            upstream: fields.text("upstream").map(|text| match text {
                "any" => UpstreamRetention::Any,
                _ => UpstreamRetention::Zero,
            }),
        }
    }
}

/// Two spellings in one file are a merge gone wrong more often than a wish.
fn check_one_spelling(policies: &[Fields<'_>]) {
    let written = |fields: &Fields<'_>| SPELLINGS.into_iter().filter(|key| fields.written(key)).collect::<Vec<_>>();
    let Some(first) = policies.iter().find_map(|fields| written(fields).first().copied()) else { return };
    for fields in policies {
        for key in written(fields).into_iter().filter(|key| *key != first) {
            fields.refuse(
                key,
                format!("is another spelling of `{first}`, which this file uses too"),
                format!("write `{first}` everywhere"),
            );
        }
        if fields.written("settings") && first == "settings" {
            fields.warn("settings", "is an old spelling; write `code`");
        }
    }
}

fn check_distinct(policies: &[Fields<'_>]) {
    let mut names = BTreeSet::new();
    // One that is enforced and one on trial stand beside each other.
    let mut bases = BTreeSet::new();
    for fields in policies {
        if let Some(name) = fields.text("name")
            && !names.insert(name)
        {
            fields.refuse("name", "is the name of an earlier policy too", "give each policy its own name");
        }
        let is_base = fields.section("match").is_some_and(|matcher| !matcher.any_written());
        if is_base && !bases.insert(fields.text("mode")) {
            let complaint =
                Complaint::new("is empty, and so is an earlier policy's", "keep one policy for everybody in each mode");
            fields.refuse_at(fields.path("match"), complaint);
        }
    }
}
