//! Who somebody is, as the identity provider says.

use serde::{Deserialize, Serialize};

/// The provider's `sub`: the only stable name of a person.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Subject(pub String);

/// The facts about a person that policies, audit and tokens use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub sub: Subject,
    pub email: Option<String>,
    pub name: Option<String>,
    #[serde(default)]
    pub groups: Vec<String>,
}

/// A person whom the admission rules let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmittedPerson(Person);

impl AdmittedPerson {
    /// Only admission calls this, and a test that needs somebody.
    pub(crate) fn vouched(person: Person) -> Self {
        Self(person)
    }

    pub fn person(&self) -> &Person {
        &self.0
    }

    pub fn into_person(self) -> Person {
        self.0
    }
}
