//! A query string that is read exactly: every name known, each given as often as it may be.

use axum::{extract::FromRequestParts, http::request::Parts};

use super::AdminError;

/// The pairs as they came, decoded.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Refuses what is not in `known`: a misspelled filter must not widen an answer, or an act.
    pub(super) fn only(self, known: &[&str]) -> Result<Self, AdminError> {
        match self.0.iter().find(|(name, _)| !known.contains(&&**name)) {
            None => Ok(self),
            Some((name, _)) => {
                let name: String = name.chars().take(40).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Err(AdminError::BadRequest(format!("{name:?} is no parameter of this call; it takes: {known}")))
            }
        }
    }

    /// Given once and not empty, or not at all.
    pub(super) fn one<'q>(&'q self, name: &'q str) -> Result<Option<&'q str>, AdminError> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(""), None) => Err(AdminError::BadRequest(format!("{name} is empty"))),
            (Some(value), None) => Ok(Some(value)),
            (Some(_), Some(_)) => Err(AdminError::BadRequest(format!("{name} was given more than once"))),
        }
    }

    pub(super) fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// A page's length.
    pub(super) fn limit(&self, usual: u32) -> Result<u32, AdminError> {
        let Some(text) = self.one("limit")? else { return Ok(usual) };
        let limit = text.parse().ok().filter(|limit| (1..=1000).contains(limit));
        limit.ok_or_else(|| AdminError::BadRequest("limit must be a whole number from 1 to 1000".to_owned()))
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AdminError> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()))
    }
}
