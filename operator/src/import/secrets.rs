//! The Secrets: one for each part of the gateway that has secrets, so that each can be somebody else's to fill in.

use std::collections::{BTreeMap, BTreeSet};

use crds::{CaCertificate, CredentialsRef, PERMITTED_USE, SecretKeyRef};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{
    Object, Wishes,
    lift::{FILL_IN, Kept},
    stream::{Document, Notes},
};

/// For what a Secret is; its name ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    Database,
    Oidc,
    Upstreams,
    Admin,
    Tls,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Oidc => "oidc",
            Self::Upstreams => "upstreams",
            Self::Admin => "admin",
            Self::Tls => "tls",
        }
    }
}

struct Entry {
    key: String,
    value: SecretString,
    note: String,
    /// Its owner has to fill it in.
    is_open: bool,
}

pub(super) struct Secrets {
    wishes: Wishes,
    by_purpose: BTreeMap<Purpose, Vec<Entry>>,
}

impl Secrets {
    pub(super) fn new(wishes: &Wishes) -> Self {
        Self { wishes: wishes.clone(), by_purpose: BTreeMap::new() }
    }

    /// `path` is that of the file.
    pub(super) fn keep(&mut self, purpose: Purpose, key: &str, path: &str, kept: &Kept) -> SecretKeyRef {
        let note = match kept.references.as_slice() {
            [] => format!("{path}: its value stood in the file."),
            references => format!("Fill in {path}: in the file {} stands for it.", references.join(" and ")),
        };
        let value = kept.value.clone();
        let is_open = !kept.references.is_empty();
        self.put(purpose, key, Entry { key: String::new(), value, note, is_open })
    }

    /// A value that the file does not say at all.
    pub(super) fn ask(&mut self, purpose: Purpose, key: &str, note: &str) -> SecretKeyRef {
        let (value, note) = (FILL_IN.into(), note.to_owned());
        self.put(purpose, key, Entry { key: String::new(), value, note, is_open: true })
    }

    pub(super) fn authority(&mut self, purpose: Purpose, key: &str, path: &str, kept: &Kept) -> CaCertificate {
        CaCertificate::SecretRef(self.keep(purpose, key, path, kept))
    }

    pub(super) fn credentials(&self, purpose: Purpose) -> CredentialsRef {
        CredentialsRef {
            name: self.name_of(purpose),
            username_key: "username".to_owned(),
            password_key: "password".to_owned(),
        }
    }

    pub(super) fn name_of(&self, purpose: Purpose) -> String {
        format!("{}-{}", self.wishes.name, purpose.word())
    }

    fn put(&mut self, purpose: Purpose, key: &str, entry: Entry) -> SecretKeyRef {
        let name = self.name_of(purpose);
        let entries = self.by_purpose.entry(purpose).or_default();
        let mut taken: BTreeSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
        let key = distinct(&data_key(key), &mut taken);
        entries.push(Entry { key: key.clone(), ..entry });
        SecretKeyRef { name, key }
    }

    /// As `<Secret>/<key>`.
    pub(super) fn to_fill_in(&self) -> Vec<String> {
        let entries =
            self.by_purpose.iter().flat_map(|(purpose, entries)| entries.iter().map(move |entry| (purpose, entry)));
        let open = entries.filter(|(_, entry)| entry.is_open);
        open.map(|(purpose, entry)| format!("{}/{}", self.name_of(*purpose), entry.key)).collect()
    }

    pub(super) fn documents(&self) -> Vec<Document> {
        let document = |(purpose, entries): (&Purpose, &Vec<Entry>)| {
            let (label, use_) = PERMITTED_USE;
            let mut metadata = self.wishes.metadata(&self.name_of(*purpose));
            metadata["labels"] = json!({ label: use_ });
            let mut notes = Notes::default();
            let mut data = Object::new();
            for Entry { key, value, note, is_open: _ } in entries {
                notes.say(&format!("/stringData/{key}"), note);
                data.insert(key.clone(), json!(value.expose_secret()));
            }
            let mut object = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata });
            if *purpose == Purpose::Tls {
                object["type"] = json!("kubernetes.io/tls");
            }
            object["stringData"] = json!(data);
            Document { object, notes }
        };
        self.by_purpose.iter().map(document).collect()
    }
}

fn data_key(text: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || "-._".contains(letter) { letter } else { '-' };
    text.chars().take(200).map(plain).collect()
}

fn distinct(key: &str, taken: &mut BTreeSet<String>) -> String {
    let mut found = key.to_owned();
    let mut number = 1;
    while !taken.insert(found.clone()) {
        number += 1;
        found = format!("{key}-{number}");
    }
    found
}
