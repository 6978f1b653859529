//! What holds between sections.

use crate::{
    fields::Fields,
    section::{Config, models, upstream},
};

pub(crate) fn check(fields: &Fields<'_>, config: Option<&Config>) {
    let names = upstream::names(fields);
    models::check_upstreams(fields, &names);
    if let Some(config) = config {
        warn_of_open_doors(fields, config);
    }
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
