//! Reading a checked section into its type. A getter's `None` means absent, or complained about already: the reader goes
//! on, so that every complaint is made in one run.

use std::path::Path;

use secrecy::SecretString;

use crate::{
    check::{Node, Section},
    complaint::{Complaint, Findings},
    environment::ProcessSettings,
    expansion::Sources,
    path::FieldPath,
};

/// What every section may consult.
pub(crate) struct Surroundings<'a> {
    pub(crate) sources: &'a Sources<'a>,
    pub(crate) findings: &'a Findings,
    /// `None` where the environment is itself at fault; whoever reads it says so.
    pub(crate) process: Option<ProcessSettings>,
}

#[derive(Clone)]
pub(crate) struct Fields<'a> {
    section: &'a Section,
    path: FieldPath,
    surroundings: &'a Surroundings<'a>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(section: &'a Section, path: FieldPath, surroundings: &'a Surroundings<'a>) -> Self {
        Self { section, path, surroundings }
    }

    pub(crate) fn surroundings(&self) -> &'a Surroundings<'a> {
        self.surroundings
    }

    pub(crate) fn path(&self, key: &str) -> FieldPath {
        self.path.key(key)
    }

    /// The operator wrote this key, rightly or wrongly.
    pub(crate) fn written(&self, key: &str) -> bool {
        self.section.written(key).is_some()
    }

    pub(crate) fn any_written(&self) -> bool {
        self.section.any_written()
    }

    pub(crate) fn text(&self, key: &str) -> Option<&'a str> {
        match self.section.get(key)? {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn owned(&self, key: &str) -> Option<String> {
        self.text(key).map(str::to_owned)
    }

    pub(crate) fn secret(&self, key: &str) -> Option<SecretString> {
        self.text(key).map(SecretString::from)
    }

    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        match self.section.get(key)? {
            Node::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    /// The table's range has to fit the type.
    pub(crate) fn whole<Whole: TryFrom<u64>>(&self, key: &str) -> Option<Whole> {
        match self.section.get(key)? {
            Node::Whole(number) => Whole::try_from(*number).ok(),
            _ => None,
        }
    }

    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        match self.section.get(key)? {
            Node::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The text through a parser whose complaint is made here.
    pub(crate) fn parsed<T>(&self, key: &str, parse: impl FnOnce(&str) -> Result<T, Complaint>) -> Option<T> {
        self.heard(self.path(key), parse(self.text(key)?))
    }

    /// The bytes of the file that this key names, through a parser.
    pub(crate) fn file<T>(&self, key: &str, parse: impl FnOnce(&[u8]) -> Result<T, Complaint>) -> Option<T> {
        let path = self.text(key)?;
        let bytes = self.surroundings.sources.read(Path::new(path), "the file that it names");
        let parsed = bytes.and_then(|bytes| parse(&bytes));
        self.heard(self.path(key), parsed)
    }

    /// Each text of a list with its path; empty where there is none.
    pub(crate) fn texts(&self, key: &str) -> Vec<(FieldPath, &'a str)> {
        let Some(Node::List(items)) = self.section.get(key) else { return Vec::new() };
        let texts = items.iter().enumerate().filter_map(|(at, node)| match node {
            Node::Text(text) => Some((self.path(key).index(at), text.as_str())),
            _ => None,
        });
        texts.collect()
    }

    /// The list holds something, right or wrong.
    pub(crate) fn has_entries(&self, key: &str) -> bool {
        matches!(self.section.get(key), Some(Node::List(items)) if !items.is_empty())
    }

    pub(crate) fn owned_texts(&self, key: &str) -> Vec<String> {
        self.texts(key).into_iter().map(|(_, text)| text.to_owned()).collect()
    }

    pub(crate) fn parsed_texts<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, Complaint>) -> Vec<T> {
        self.texts(key).into_iter().filter_map(|(path, text)| self.heard(path, parse(text))).collect()
    }

    /// Each entry of a map of texts with its path.
    pub(crate) fn map(&self, key: &str) -> Vec<(FieldPath, &'a str, &'a str)> {
        let Some(Node::Map(entries)) = self.section.get(key) else { return Vec::new() };
        let texts = entries.iter().filter_map(|(name, node)| match node {
            Node::Text(text) => Some((self.path(key).key(name), name.as_str(), text.as_str())),
            _ => None,
        });
        texts.collect()
    }

    pub(crate) fn section(&self, key: &str) -> Option<Self> {
        match self.section.get(key)? {
            Node::Section(section) => Some(Self::new(section, self.path(key), self.surroundings)),
            _ => None,
        }
    }

    /// The sections of a list, without those that were complained about as a whole.
    pub(crate) fn sections(&self, key: &str) -> Vec<Self> {
        let Some(Node::List(items)) = self.section.get(key) else { return Vec::new() };
        let sections = items.iter().enumerate().filter_map(|(at, node)| match node {
            Node::Section(section) => Some(Self::new(section, self.path(key).index(at), self.surroundings)),
            _ => None,
        });
        sections.collect()
    }

    pub(crate) fn document(&self, key: &str) -> Option<&'a serde_json::Map<String, serde_json::Value>> {
        match self.section.get(key)? {
            Node::Document(document) => Some(document),
            _ => None,
        }
    }

    pub(crate) fn refuse(&self, key: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.refuse_at(self.path(key), Complaint::new(problem, remedy));
    }

    pub(crate) fn refuse_here(&self, problem: impl Into<String>, remedy: impl Into<String>) {
        self.refuse_at(self.path.clone(), Complaint::new(problem, remedy));
    }

    pub(crate) fn refuse_at(&self, path: FieldPath, complaint: Complaint) {
        self.surroundings.findings.refuse(path, complaint);
    }

    pub(crate) fn warn(&self, key: &str, text: impl Into<String>) {
        self.surroundings.findings.warn(self.path(key), text);
    }

    pub(crate) fn warn_at(&self, path: FieldPath, text: impl Into<String>) {
        self.surroundings.findings.warn(path, text);
    }

    /// The value, its complaint made.
    pub(crate) fn heard<T>(&self, path: FieldPath, result: Result<T, Complaint>) -> Option<T> {
        result.map_err(|complaint| self.refuse_at(path, complaint)).ok()
    }
}
