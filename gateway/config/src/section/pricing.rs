//! `pricing`: what the meter charges instead of list prices.

use std::collections::BTreeSet;

use crate::{
    fields::Fields,
    section::models,
    vocabulary::{Fallback, Key, Shape, Table},
};

const RATE: Shape = Shape::Number(0.000_001, 10_000.0);

pub(crate) static PRICING: Table = Table {
    about: "Contracted rates; US dollars throughout.",
    keys: &[&[
        Key::optional(
            "multiplier",
            Shape::Number(0.000_001, 10.0),
            "Every amount is multiplied by it, list price or not; above 1 it is a markup.",
        )
        .or(Fallback::Number(1.0)),
        Key::optional("overrides", Shape::List(&Shape::Section(&OVERRIDE)), "Rates of one model at one upstream."),
    ]],
};

static OVERRIDE: Table = Table {
    about: "Where rows overlap the most specific one counts: the id sent upstream, then the client's, then the built-in.",
    keys: &[&[
        Key::required("upstream", Shape::Text, "The name of an upstream."),
        Key::required(
            "model",
            Shape::Text,
            "The model, as a built-in id, as clients send it, or as the upstream knows it.",
        ),
        Key::required("input", RATE, "Dollars per million input tokens."),
        Key::required("output", RATE, "Dollars per million output tokens."),
        Key::required("cache_read", RATE, "Dollars per million tokens read from the cache."),
        Key::required("cache_write", RATE, "Dollars per million tokens written to the cache."),
    ]],
};

#[derive(Debug, Clone, PartialEq)]
pub struct Pricing {
    pub multiplier: f64,
    pub overrides: Vec<PriceOverride>,
}

/// US dollars per million tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceOverride {
    pub upstream: String,
    pub model: String,
    pub input: f64,
    pub output: f64,
    pub cache_read: f64,
    pub cache_write: f64,
}

impl Pricing {
    pub(crate) fn read(fields: &Fields<'_>) -> Option<Self> {
        let mut seen = BTreeSet::new();
        let mut overrides = Vec::new();
        for entry in fields.sections("overrides") {
            let Some(row) = PriceOverride::read(&entry) else { continue };
            if !seen.insert((row.upstream.clone(), row.model.to_lowercase())) {
                entry.refuse("model", "has a price for this upstream already", "keep one of the two rows");
            }
            overrides.push(row);
        }
        Some(Self { multiplier: fields.number("multiplier")?, overrides })
    }
}

impl PriceOverride {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        Some(Self {
            upstream: fields.owned("upstream")?,
            model: fields.owned("model")?,
            input: fields.number("input")?,
            output: fields.number("output")?,
            cache_read: fields.number("cache_read")?,
            cache_write: fields.number("cache_write")?,
        })
    }
}

/// Every upstream that a row names has to be there.
pub(crate) fn check_upstreams(fields: &Fields<'_>, names: &BTreeSet<&str>) {
    for entry in fields.sections("overrides") {
        if let Some(upstream) = entry.text("upstream").filter(|name| !names.contains(name)) {
            entry.refuse_at(entry.path("upstream"), models::no_upstream(upstream, names));
        }
    }
}
