//! E4: an alert or a panel asks only for what a gateway exposes.

use std::{collections::BTreeSet, fs};

use e2e::chart::{folder, root};

use crate::stage::{of_kind, render};

/// The series of the gateway, read off where it registers them.
fn exposed() -> BTreeSet<String> {
    let source = fs::read_to_string(root().join("gateway/src/telemetry/metrics.rs")).unwrap();
    let source = source.split("#[cfg(test)]").next().unwrap();
    let (fields, constructor) = source.split_once("impl Metrics").unwrap();
    let mut series = BTreeSet::new();
    let mut before = "";
    for after in constructor.split("registered(").chain(constructor.split("r.register(").skip(1)) {
        let name = after.split('"').nth(1).unwrap_or_default();
        // The field's line ends where the call begins; the one histogram is registered by itself.
        let field = before.lines().next_back().unwrap_or_default().trim().trim_start_matches("let ");
        let field = field.split(':').next().unwrap();
        let declared =
            fields.lines().find(|line| line.trim().trim_start_matches("pub ").starts_with(&format!("{field}: ")));
        let ends: &[&str] = match declared {
            _ if name.ends_with("first_byte_seconds") => &["_bucket", "_sum", "_count"],
            Some(kind) if kind.contains("Counter") => &["_total"],
            Some(kind) if kind.contains("Gauge") => &[""],
            _ => &[],
        };
        series.extend(ends.iter().map(|end| format!("claude_gateway_{name}{end}")));
        before = after;
    }
    assert!(series.len() > 20, "the source is written otherwise now: {series:?}");
    series
}

/// Every word of the prefix in a text.
fn asked(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("claude_gateway_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn no_alert_and_no_panel_asks_for_what_nobody_exposes() {
    let exposed = exposed();
    for file in ["files/alerts.yaml", "files/dashboard.json"] {
        let asked = asked(&fs::read_to_string(folder().join(file)).unwrap());
        assert!(asked.len() > 5, "{file} asks for {asked:?}");
        let dangling: Vec<_> = asked.difference(&exposed).collect();
        assert!(dangling.is_empty(), "{file} asks for {dangling:?}");
    }
}

#[test]
fn nothing_that_needs_another_api_is_there_unless_asked_for() {
    let objects = render("");
    for kind in ["ServiceMonitor", "PrometheusRule", "ConfigMap", "NetworkPolicy", "PodDisruptionBudget"] {
        assert!(of_kind(&objects, kind).is_empty(), "{kind}");
    }
}
