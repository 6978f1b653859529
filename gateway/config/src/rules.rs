//! What holds between sections.

use crate::{
    fields::Fields,
    section::{Config, models, pricing, upstream},
};

pub(crate) fn check(fields: &Fields<'_>, config: Option<&Config>) {
    let names = upstream::names(fields);
    models::check_upstreams(fields, &names);
    if let Some(pricing) = fields.section("pricing") {
        pricing::check_upstreams(&pricing, &names);
    }
    upstream::cloud::check_guardrails(&fields.sections("upstreams"));
    check_enforcement(fields);
    check_pricing(fields);
    if let Some(config) = config {
        warn_of_open_doors(fields, config);
    }
}

/// Failing closed without limits would refuse everyone for nothing. Rows of the store may have some.
fn check_enforcement(fields: &Fields<'_>) {
    let Some(enforcement) = fields.section("enforcement") else { return };
    let limits = |policy: &Fields<'_>| policy.section("limits").is_some_and(|limits| limits.any_written());
    let has_limits = fields.written("admin") || in_store(fields) || policies(fields).iter().any(limits);
    if enforcement.flag("fail_closed_on_error") == Some(true) && !has_limits {
        enforcement.refuse(
            "fail_closed_on_error",
            "is on, and there are no limits to enforce",
            "add an admin section, or a policy with limits",
        );
    }
}

/// Nothing else reads prices.
fn check_pricing(fields: &Fields<'_>) {
    let has_policies = !policies(fields).is_empty();
    if fields.written("pricing") && !fields.written("admin") && !has_policies && !in_store(fields) {
        fields.refuse("pricing", "has no reader", "add an admin section, or a managed policy");
    }
}

fn policies<'a>(fields: &Fields<'a>) -> Vec<Fields<'a>> {
    fields.section("managed").map(|managed| managed.sections("policies")).unwrap_or_default()
}

fn in_store(fields: &Fields<'_>) -> bool {
    fields.section("managed").and_then(|managed| managed.text("source")) == Some("store")
}

/// A gateway can push settings that run commands on developers' machines, so who can reach it matters.
fn warn_of_open_doors(fields: &Fields<'_>, config: &Config) {
    if config.access_control.allow_cidrs.is_empty() && !config.listen.is_local() {
        fields.warn(
            "access_control",
            "every address is served; allow_cidrs could hold your private ranges only (10.0.0.0/8, 172.16.0.0/12, \
             192.168.0.0/16, 100.64.0.0/10, 127.0.0.0/8, ::1/128, fc00::/7)",
        );
    }
}
