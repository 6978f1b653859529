//! The file's tree against the tables: unknown keys, missing keys, types and ranges, references expanded, defaults filled
//! in. What comes out has the declared shape everywhere, or a complaint stands for it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    complaint::{Complaint, Findings},
    expansion::{Expanded, Sources},
    path::FieldPath,
    vocabulary::{Fallback, Key, Presence, Shape, Table, nearest},
};

/// A checked value. Holds secrets, so it does not print.
pub(crate) enum Node {
    /// Complained about already.
    Faulty,
    Text(String),
    Flag(bool),
    Whole(u64),
    Number(f64),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    Section(Section),
    Document(serde_json::Map<String, Value>),
}

/// A checked mapping: every key is one of its table's.
#[derive(Default)]
pub(crate) struct Section {
    entries: BTreeMap<&'static str, Entry>,
}

struct Entry {
    node: Node,
    /// By the operator, not by a default.
    written: bool,
}

impl Section {
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries.get(key).map(|entry| &entry.node)
    }

    pub(crate) fn any_written(&self) -> bool {
        self.entries.values().any(|entry| entry.written)
    }

    pub(crate) fn written(&self, key: &str) -> Option<&Node> {
        self.entries.get(key).filter(|entry| entry.written).map(|entry| &entry.node)
    }
}

pub(crate) struct Checker<'a> {
    pub(crate) sources: &'a Sources<'a>,
    pub(crate) findings: &'a Findings,
}

impl Checker<'_> {
    pub(crate) fn check(&self, value: &Value, shape: Shape, path: &FieldPath) -> Node {
        self.shaped(value, shape, path).unwrap_or_else(|complaint| {
            self.findings.refuse(path.clone(), complaint);
            Node::Faulty
        })
    }

    fn shaped(&self, value: &Value, shape: Shape, path: &FieldPath) -> Result<Node, Complaint> {
        if value.is_null() {
            return Err(Complaint::new("has no value", "write one, or remove the key"));
        }
        match shape {
            Shape::Text | Shape::Secret => self.text(value).map(Node::Text),
            Shape::Choice(choices) => self.choice(value, choices),
            Shape::Flag => self.flag(value),
            Shape::Whole(least, most) => self.whole(value, least, most),
            Shape::Number(least, most) => self.number(value, least, most),
            Shape::List(item) => match value {
                Value::Array(items) => Ok(self.list(items, *item, path)),
                _ => Err(Complaint::new("must be a list", "write one entry a line, each after a dash")),
            },
            Shape::OneOrMore(item) => match value {
                Value::Array(items) if items.is_empty() => {
                    Err(Complaint::new("is an empty list", "write one entry at least"))
                }
                Value::Array(items) => Ok(self.list(items, *item, path)),
                one => self.shaped(one, *item, path).map(|node| Node::List(vec![node])),
            },
            Shape::Map(item) => {
                let entries = mapping(value)?;
                Ok(Node::Map(
                    entries
                        .iter()
                        .map(|(key, value)| (key.clone(), self.check(value, *item, &path.key(key))))
                        .collect(),
                ))
            }
            Shape::Section(table) => Ok(Node::Section(self.section(mapping(value)?, table, path))),
            Shape::Cases { tag, cases } => self.case(mapping(value)?, tag, cases, path),
            Shape::Document => mapping(value).cloned().map(Node::Document),
        }
    }

    fn list(&self, items: &[Value], shape: Shape, path: &FieldPath) -> Node {
        let checked = items.iter().enumerate().map(|(at, item)| self.check(item, shape, &path.index(at)));
        Node::List(checked.collect())
    }

    pub(crate) fn section(
        &self,
        written: &serde_json::Map<String, Value>,
        table: &'static Table,
        path: &FieldPath,
    ) -> Section {
        for unknown in written.keys().filter(|key| table.get(key).is_none()) {
            self.findings.refuse(path.key(unknown), unknown_key(unknown, table));
        }
        let mut section = Section::default();
        for key in table.iter() {
            let entry = match written.get(key.name) {
                Some(value) => Some(Entry { node: self.check(value, key.shape, &path.key(key.name)), written: true }),
                None => self.absent(key, path),
            };
            if let Some(entry) = entry {
                section.entries.insert(key.name, entry);
            }
        }
        section
    }

    fn absent(&self, key: &Key, path: &FieldPath) -> Option<Entry> {
        let node = match key.presence {
            Presence::Optional => return None,
            Presence::Required => {
                self.findings
                    .refuse(path.key(key.name), Complaint::new("is missing", format!("write it: {}", key.about)));
                Node::Faulty
            }
            Presence::Default(fallback) => self.fallback(fallback, key, path),
        };
        Some(Entry { node, written: false })
    }

    fn fallback(&self, fallback: Fallback, key: &Key, path: &FieldPath) -> Node {
        match fallback {
            Fallback::Flag(flag) => Node::Flag(flag),
            Fallback::Whole(number) => Node::Whole(number),
            Fallback::Number(number) => Node::Number(number),
            Fallback::Text(text) => Node::Text(text.to_owned()),
            Fallback::Texts(texts) => Node::List(texts.iter().map(|text| Node::Text((*text).to_owned())).collect()),
            Fallback::Section => match key.shape {
                Shape::Section(table) => {
                    Node::Section(self.section(&serde_json::Map::new(), table, &path.key(key.name)))
                }
                _ => Node::Faulty,
            },
        }
    }

    fn case(
        &self,
        written: &serde_json::Map<String, Value>,
        tag: &'static str,
        cases: &'static [(&'static str, &'static Table)],
        path: &FieldPath,
    ) -> Result<Node, Complaint> {
        let names = || cases.iter().map(|(name, _)| *name);
        let Some(value) = written.get(tag) else {
            self.findings.refuse(path.key(tag), Complaint::new("is missing", format!("write {}", one_of(names()))));
            return Ok(Node::Faulty);
        };
        let chosen = self.text(value).and_then(|text| {
            let known = cases.iter().find(|(name, _)| *name == text);
            known.map(|(_, table)| *table).ok_or_else(|| no_choice(&text, value, names()))
        });
        match chosen {
            Ok(table) => Ok(Node::Section(self.section(written, table, path))),
            Err(complaint) => {
                self.findings.refuse(path.key(tag), complaint);
                Ok(Node::Faulty)
            }
        }
    }

    fn text(&self, value: &Value) -> Result<String, Complaint> {
        let expanded = match value {
            Value::String(written) => self.sources.expand(written)?.text,
            Value::Number(_) | Value::Bool(_) => {
                return Err(Complaint::new("must be text", "put quotes around the value"));
            }
            _ => return Err(Complaint::new("must be text", "write one value")),
        };
        if expanded.trim().is_empty() {
            return Err(Complaint::new("is empty", "write a value, or remove the key"));
        }
        Ok(expanded)
    }

    fn choice(&self, value: &Value, choices: &'static [&'static str]) -> Result<Node, Complaint> {
        let text = self.text(value)?;
        if choices.contains(&text.as_str()) {
            return Ok(Node::Text(text));
        }
        Err(no_choice(&text, value, choices.iter().copied()))
    }

    fn flag(&self, value: &Value) -> Result<Node, Complaint> {
        let flag = match value {
            Value::Bool(flag) => Some(*flag),
            _ => self.referred(value)?.and_then(|text| text.parse().ok()),
        };
        flag.map(Node::Flag)
            .ok_or_else(|| Complaint::new("must be true or false", "write true or false, without quotes"))
    }

    fn whole(&self, value: &Value, least: u64, most: u64) -> Result<Node, Complaint> {
        let number = match value {
            Value::Number(number) => number.as_u64(),
            _ => self.referred(value)?.and_then(|text| text.parse().ok()),
        };
        number.filter(|number| (least..=most).contains(number)).map(Node::Whole).ok_or_else(|| {
            let remedy =
                if value.is_string() { "write a number, without quotes" } else { "write a number in that range" };
            Complaint::new(format!("must be a whole number from {least} to {most}"), remedy)
        })
    }

    fn number(&self, value: &Value, least: f64, most: f64) -> Result<Node, Complaint> {
        let number = match value {
            Value::Number(number) => number.as_f64(),
            _ => self.referred(value)?.and_then(|text| text.parse().ok()),
        };
        number.filter(|number| (least..=most).contains(number)).map(Node::Number).ok_or_else(|| {
            let remedy =
                if value.is_string() { "write a number, without quotes" } else { "write a number in that range" };
            Complaint::new(format!("must be a number from {least} to {most}"), remedy)
        })
    }

    /// The text of a reference: environment and files know only text, so there a number or a flag may come as one.
    fn referred(&self, value: &Value) -> Result<Option<String>, Complaint> {
        let Value::String(written) = value else { return Ok(None) };
        let Expanded { text, referred } = self.sources.expand(written)?;
        Ok(referred.then(|| text.trim().to_owned()))
    }
}

fn mapping(value: &Value) -> Result<&serde_json::Map<String, Value>, Complaint> {
    value.as_object().ok_or_else(|| Complaint::new("must be a mapping", "write `key: value` lines below it"))
}

fn unknown_key(unknown: &str, table: &Table) -> Complaint {
    const FEW: usize = 8;
    let remedy = match nearest(unknown, table.names()) {
        Some(known) => format!("did you mean `{known}`?"),
        None if table.iter().count() <= FEW => format!("remove it; known here: {}", list(table.names())),
        None => "remove it".to_owned(),
    };
    Complaint::new("is no known key", remedy)
}

fn no_choice<'a>(text: &str, written: &Value, choices: impl Iterator<Item = &'a str> + Clone) -> Complaint {
    // A hint comes from what stands in the file only: an expanded value stays unsaid, even by its neighbour.
    let hint = written.as_str().filter(|written| *written == text).and_then(|text| nearest(text, choices.clone()));
    let remedy = hint.map_or_else(|| "write one of them".to_owned(), |choice| format!("did you mean `{choice}`?"));
    Complaint::new(format!("must be {}", one_of(choices)), remedy)
}

fn one_of<'a>(choices: impl Iterator<Item = &'a str>) -> String {
    format!("one of {}", list(choices))
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}
