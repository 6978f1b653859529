//! The people whom the provider knows.

use serde_json::{Map, Value, json};

#[derive(Debug, Clone)]
pub struct Person {
    pub sub: String,
    pub name: String,
    pub email: String,
    pub groups: Vec<String>,
    /// Added to the person's claims, over the usual ones; `null` takes one away.
    pub claims: Map<String, Value>,
    pub enabled: bool,
}

impl Person {
    pub fn new(sub: &str, name: &str, groups: &[&str]) -> Self {
        Self {
            sub: sub.to_owned(),
            name: name.to_owned(),
            email: format!("{sub}@example.com"),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            claims: Map::new(),
            enabled: true,
        }
    }

    pub fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims.insert(name.to_owned(), value);
        self
    }

    /// Whom one meets in an empty provider.
    pub fn usual() -> Vec<Self> {
        vec![
            Self::new("alice", "Alice Example", &["eng", "everyone"]),
            Self::new("bob", "Bob Example", &["sales", "everyone"]),
            Self::new("carol", "Carol Example", &[]),
        ]
    }

    pub(crate) fn all_claims(&self) -> Map<String, Value> {
        let mut claims = Map::new();
        claims.insert("sub".to_owned(), json!(self.sub));
        claims.insert("name".to_owned(), json!(self.name));
        claims.insert("email".to_owned(), json!(self.email));
        claims.insert("email_verified".to_owned(), json!(true));
        if !self.groups.is_empty() {
            claims.insert("groups".to_owned(), json!(self.groups));
        }
        for (name, value) in &self.claims {
            match value {
                Value::Null => claims.remove(name),
                value => claims.insert(name.clone(), value.clone()),
            };
        }
        claims
    }
}
