//! `models`: what the operator adds to the built-in catalogue.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    complaint::Complaint,
    fields::Fields,
    vocabulary::{Key, Shape, Table},
};

pub(crate) static MODEL: Table = Table {
    about: "A model that clients may ask for.",
    keys: &[&[
        Key::required("id", Shape::Text, "The id that clients send."),
        Key::optional("label", Shape::Text, "The name that clients show; the id unless said."),
        Key::optional("description", Shape::Text, "A sentence that some clients show."),
        Key::optional(
            "upstream_model",
            Shape::Map(&Shape::Text),
            "Upstream name to the id that this upstream knows. A built-in model is tried on every upstream all the same; any \
             other only on the ones named here.",
        ),
    ]],
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelEntry {
    pub id: String,
    pub label: Option<String>,
    pub description: Option<String>,
    /// Upstream name → the id that upstream knows.
    pub upstream_model: BTreeMap<String, String>,
}

impl ModelEntry {
    pub(crate) fn read_all(fields: &Fields<'_>) -> Vec<Self> {
        let mut seen = BTreeSet::new();
        let mut models = Vec::new();
        for entry in fields.sections("models") {
            let Some(model) = Self::read(&entry) else { continue };
            if !seen.insert(model.id.clone()) {
                entry.refuse("id", "is the id of an earlier model too", "remove one of the two");
            }
            models.push(model);
        }
        models
    }

    fn read(fields: &Fields<'_>) -> Option<Self> {
        Some(Self {
            id: fields.owned("id")?,
            label: fields.owned("label"),
            description: fields.owned("description"),
            upstream_model: fields
                .map("upstream_model")
                .into_iter()
                .map(|(_, upstream, id)| (upstream.to_owned(), id.to_owned()))
                .collect(),
        })
    }
}

/// Every upstream that a model names has to be there.
pub(crate) fn check_upstreams(fields: &Fields<'_>, names: &BTreeSet<&str>) {
    for (path, upstream, _) in fields.sections("models").iter().flat_map(|entry| entry.map("upstream_model")) {
        if !names.contains(upstream) {
            fields.refuse_at(path, no_upstream(upstream, names));
        }
    }
}

pub(crate) fn no_upstream(unknown: &str, names: &BTreeSet<&str>) -> Complaint {
    let remedy = crate::vocabulary::nearest(unknown, names.iter().copied()).map_or_else(
        || format!("write one of {}, or remove it", names.iter().copied().collect::<Vec<_>>().join(", ")),
        |name| format!("did you mean `{name}`?"),
    );
    Complaint::new("names no upstream", remedy)
}
