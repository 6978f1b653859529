//! The gateway's audit lines as a person reads them: when, what, who, how it went.

use std::time::Duration;

use e2e::cast::gateway::Lines;
use serde_json::Value;
use tokio::time::sleep;

use crate::words::faint;

/// Prints every line as it comes; never ends.
pub(crate) async fn tell(lines: &Lines) {
    let mut told = 0;
    loop {
        let new = lines.since(told);
        told += new.len();
        for line in new {
            println!("  {}", readable(&line).unwrap_or_else(|| faint(&line)));
        }
        sleep(Duration::from_millis(150)).await;
    }
}

/// `None` for what is no audit line: that is shown as it is.
fn readable(line: &str) -> Option<String> {
    let event: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| match &event[name] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    // `2026-01-31T12:34:56.789Z`: the time of day is enough here.
    let time = text("ts")?.get(11..19)?.to_owned();
    let facts = ["email", "model", "upstream", "status", "result", "reason"].iter().filter_map(|name| text(name));
    let usage = [("input_tokens", "in"), ("output_tokens", "out")].iter().filter_map(|(name, unit)| {
        let count = text(name).or_else(|| Some(event["usage"][*name].as_u64()?.to_string()))?;
        Some(format!("{count} {unit}"))
    });
    let facts: Vec<String> = facts.chain(usage).collect();
    Some(format!("{} {:<18} {}", faint(&time), text("evt")?, facts.join("  ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audit_line_is_told_in_a_few_words() {
        let line = r#"{"ts":"2026-01-31T12:34:56.789Z","evt":"inference","email":"a@b.c","model":"m","status":200}"#;
        assert_eq!(readable(line).unwrap(), "12:34:56 inference          a@b.c  m  200");
        assert_eq!(readable("boot: ready"), None);
    }
}
