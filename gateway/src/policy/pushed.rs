//! What limits and retention make of the settings that a client gets: it is told what the gateway enforces, and keeps what it
//! must not keep no longer than it may.
//!
//! Invariant: a document is only made stricter, and a second time changes nothing. The names are Claude Code's own ("Monitoring",
//! "Environment variables", Claude Code documentation).

use gateway_config::{Retention, TelemetryDetail, TokenLimits};
use serde_json::{Map, Value};

type Document = Map<String, Value>;

const TRANSCRIPTS: &str = "cleanupPeriodDays";
const MAX_OUTPUT: &str = "CLAUDE_CODE_MAX_OUTPUT_TOKENS";

/// Each of these can put a prompt, an answer or a tool's arguments into telemetry. `0` rather than absent: a developer may
/// have set them, and answers follow prompts unless they say otherwise.
const CONTENT: [&str; 6] = [
    "OTEL_LOG_USER_PROMPTS",
    "OTEL_LOG_ASSISTANT_RESPONSES",
    "OTEL_LOG_TOOL_DETAILS",
    "OTEL_LOG_TOOL_CONTENT",
    "OTEL_LOG_RAW_API_BODIES",
    // A way of its own, past all of the above.
    "ENABLE_BETA_TRACING_DETAILED",
];
const SIGNALS: [&str; 3] = ["OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER", "OTEL_TRACES_EXPORTER"];

pub(super) fn push(settings: &mut Document, limits: &TokenLimits, retention: &Retention) {
    if let Some(days) = retention.transcript_days.map(u64::from) {
        let days = settings.get(TRANSCRIPTS).and_then(whole).map_or(days, |written| written.min(days));
        settings.insert(TRANSCRIPTS.to_owned(), days.into());
    }
    let detail = retention.telemetry.unwrap_or(TelemetryDetail::Full);
    if detail >= TelemetryDetail::Redacted {
        CONTENT.into_iter().for_each(|name| set(settings, name, "0"));
    }
    if detail == TelemetryDetail::None {
        set(settings, "CLAUDE_CODE_ENABLE_TELEMETRY", "0");
        SIGNALS.into_iter().for_each(|name| set(settings, name, "none"));
    }
    if let Some(most) = limits.max_output_tokens {
        let written = settings.get("env").and_then(|env| env.get(MAX_OUTPUT)).and_then(whole);
        let most = written.map_or(most, |written| written.min(most));
        set(settings, MAX_OUTPUT, &most.to_string());
    }
}

/// However a client may read it: `5`, `5.0` and `"5"`.
fn whole(written: &Value) -> Option<u64> {
    let fraction = |number: f64| (number >= 0.0).then_some(number as u64);
    match written {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(fraction)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn set(settings: &mut Document, name: &str, value: &str) {
    let env = settings.entry("env").or_insert_with(|| Document::new().into());
    if !env.is_object() {
        *env = Document::new().into();
    }
    env[name] = value.into();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pushed(settings: Value, limits: &TokenLimits, retention: &Retention) -> Value {
        let Value::Object(mut settings) = settings else { panic!("a mapping") };
        push(&mut settings, limits, retention);
        let once = settings.clone();
        push(&mut settings, limits, retention);
        assert_eq!(settings, once, "twice is once");
        Value::Object(settings)
    }

    fn with_telemetry(detail: TelemetryDetail) -> Retention {
        Retention { telemetry: Some(detail), ..Retention::default() }
    }

    #[test]
    fn nothing_said_changes_nothing() {
        let settings = json!({"env": {"OTEL_LOG_USER_PROMPTS": "1"}, "cleanupPeriodDays": 90});
        let none = (TokenLimits::default(), Retention::default());
        assert_eq!(pushed(settings.clone(), &none.0, &none.1), settings);
        assert_eq!(pushed(settings.clone(), &none.0, &with_telemetry(TelemetryDetail::Full)), settings);
    }

    #[test]
    fn transcripts_are_kept_no_longer_than_either_says() {
        let retention = Retention { transcript_days: Some(7), ..Retention::default() };
        for (written, kept) in [
            (json!({}), 7),
            (json!({"cleanupPeriodDays": 30}), 7),
            (json!({"cleanupPeriodDays": 5.0}), 5),
            (json!({"cleanupPeriodDays": 1e30}), 7),
            (json!({"cleanupPeriodDays": -1}), 7),
            (json!({"cleanupPeriodDays": 0}), 0),
        ] {
            assert_eq!(pushed(written, &TokenLimits::default(), &retention)["cleanupPeriodDays"], kept);
        }
    }

    #[test]
    fn redacted_telemetry_carries_no_content_whatever_the_policy_pushes() {
        let settings =
            json!({"env": {"OTEL_LOG_USER_PROMPTS": "1", "OTEL_LOG_RAW_API_BODIES": "file:/tmp", "OTHER": "1"}});
        let settings = pushed(settings, &TokenLimits::default(), &with_telemetry(TelemetryDetail::Redacted));
        for name in CONTENT {
            assert_eq!(settings["env"][name], "0", "{name}");
        }
        assert_eq!(settings["env"]["OTHER"], "1");
        assert!(settings["env"].get("CLAUDE_CODE_ENABLE_TELEMETRY").is_none(), "the rest of it goes on");
    }

    #[test]
    fn no_telemetry_is_none_of_any_signal() {
        let settings = json!({"env": {"CLAUDE_CODE_ENABLE_TELEMETRY": "1", "OTEL_LOGS_EXPORTER": "otlp"}});
        let env = pushed(settings, &TokenLimits::default(), &with_telemetry(TelemetryDetail::None))["env"].clone();
        assert_eq!(env["CLAUDE_CODE_ENABLE_TELEMETRY"], "0");
        assert!(SIGNALS.iter().all(|name| env[*name] == "none") && CONTENT.iter().all(|name| env[*name] == "0"));
    }

    #[test]
    fn the_smaller_output_limit_is_pushed() {
        let limits = TokenLimits { max_output_tokens: Some(8000), ..TokenLimits::default() };
        for (written, told) in [
            (json!({}), "8000"),
            (json!({"env": {MAX_OUTPUT: "64000"}}), "8000"),
            (json!({"env": {MAX_OUTPUT: "4000"}}), "4000"),
            (json!({"env": {MAX_OUTPUT: 4000}}), "4000"),
            (json!({"env": {MAX_OUTPUT: 64000}}), "8000"),
            (json!({"env": {MAX_OUTPUT: 4000.0}}), "4000"),
            (json!({"env": {MAX_OUTPUT: "many"}}), "8000"),
            (json!({"env": {MAX_OUTPUT: true}}), "8000"),
        ] {
            assert_eq!(pushed(written, &limits, &Retention::default())["env"][MAX_OUTPUT], told);
        }
    }
}
