//! Readable log lines on standard error, beside the audit's.

use tracing::Level;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

use super::lines::Lines;

/// Installs the process's log; a second call changes nothing.
pub fn install(level: Level, lines: Lines) {
    let ours = Targets::new().with_target("gateway", level).with_target("claude_gateway", level);
    let all = ours.with_default(level.min(Level::WARN));
    let format = tracing_subscriber::fmt::layer().with_ansi(false).with_target(false).with_writer(lines);
    let _ = tracing_subscriber::registry().with(all).with(format).try_init();
}
