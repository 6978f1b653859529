//! The ClaudeGateway: every section of the file in its place, and a note where a place was chosen.

use crds::gateway::{
    ClaudeGatewaySpec,
    admin::{Admin, AdminKey, Enforcement},
    model::{Model, UpstreamModel},
    observation::LogLevel,
    session::Session,
};
use gateway_config::Config;
use serde_json::json;

use super::{
    Source, Wishes, database, door, names, oidc, pruning, reach, secrets::Purpose, stream::Document, upstream,
};

pub(super) fn document(
    config: &Config,
    source: &mut Source<'_>,
    wishes: &Wishes,
    problems: &mut Vec<String>,
) -> Document {
    let Config {
        listen,
        oidc,
        session,
        store,
        upstreams,
        models,
        auto_include_builtin_models,
        access_control,
        limits,
        timeouts,
        rate_limits,
        managed: _,
        telemetry: _,
        admin,
        enforcement,
        pricing: _,
        load_test_mode: _,
        files: _,
    } = config;
    if !listen.public_url.is_https() {
        problems.push("listen.public_url: is no address of a cluster: say the public host with --host".to_owned());
    }
    let upstreams = upstream::all(upstreams, source);
    let spec = ClaudeGatewaySpec {
        public_url: listen.public_url.as_str().to_owned(),
        replicas: None,
        autoscaling: None,
        image: None,
        exposure: reach::exposure(listen, source),
        database: database::section(store, source),
        oidc: oidc::section(oidc, source),
        session: self::session(session, source),
        development: reach::development(config, source),
        network_policy: reach::network_policy(config, source),
        models: models.iter().enumerate().map(|(at, model)| self::model(at, model, source)).collect(),
        upstreams,
        auto_include_builtin_models: *auto_include_builtin_models,
        limits: door::limits(*limits),
        timeouts: door::timeouts(*timeouts),
        rate_limits: door::rate_limits(*rate_limits),
        access_control: door::access_control(access_control),
        admin: admin.as_ref().map(|admin| self::admin(admin, source)),
        enforcement: Enforcement { fail_closed_on_error: enforcement.fail_closed_on_error },
        metrics: reach::metrics(listen, source),
        log_level: LogLevel::default(),
        pod_template: None,
        proxy: None,
        policies: None,
    };
    let object = json!({
        "apiVersion": "claude-gateway.dev/v1alpha1", "kind": "ClaudeGateway", "metadata": wishes.metadata(&wishes.name),
        "spec": pruning::pruned(&spec, "/spec", &source.notes),
    });
    Document { object, notes: std::mem::take(&mut source.notes) }
}

fn session(session: &gateway_config::Session, source: &mut Source<'_>) -> Session {
    let gateway_config::Session { jwt_secrets: _, ttl, max_age } = session;
    if !ttl.as_secs().is_multiple_of(60) {
        source
            .notes
            .say("/spec/session/ttlMinutes", "session.ttl_hours is no whole number of minutes: the one below it.");
    }
    let minutes = u32::try_from(ttl.as_secs() / 60).unwrap_or(u32::MAX);
    Session { ttl_minutes: minutes.max(1), max_days: seconds(*max_age) / 86_400 }
}

fn model(at: usize, model: &gateway_config::ModelEntry, source: &mut Source<'_>) -> Model {
    let gateway_config::ModelEntry { id, label, description, upstream_model } = model;
    let was_named = !upstream_model.is_empty();
    let upstream_model = upstream_model.iter().filter_map(|(upstream, id)| {
        Some(UpstreamModel { upstream: source.names.known(upstream)?.to_owned(), id: id.clone() })
    });
    let found: Vec<_> = upstream_model.collect();
    if found.is_empty() && was_named {
        let note = format!(
            "{id} went only to upstreams that are not taken over: unless it is a built-in model nobody serves it."
        );
        source.notes.say(&format!("/spec/models/{at}/id"), note);
    }
    Model { id: id.clone(), label: label.clone(), description: description.clone(), upstream_model: found }
}

fn admin(admin: &gateway_config::Admin, source: &mut Source<'_>) -> Admin {
    let gateway_config::Admin {
        write_keys,
        read_keys,
        admin_groups,
        blocked_message: _,
        audit_retention_days: _,
        spend_retention_months,
        identity_retention_days: _,
        group_limit_mode: _,
        billing_group_tag: _,
    } = admin;
    let mut keys = |list: &str, keys: &[gateway_config::AdminKey]| -> Vec<AdminKey> {
        let key = |(at, entry): (usize, &gateway_config::AdminKey)| {
            let path = format!("admin.{list}[{at}].key");
            let kept = source.lifted.get(&path)?.clone();
            let key_secret_ref = source.secrets.keep(Purpose::Admin, &names::label(&entry.id), &path, &kept);
            Some(AdminKey { id: entry.id.clone(), key_secret_ref })
        };
        keys.iter().enumerate().filter_map(key).collect()
    };
    Admin {
        write_keys: keys("write_keys", write_keys),
        read_keys: keys("read_keys", read_keys),
        admin_groups: unique(admin_groups.iter().cloned()),
        spend_retention_months: *spend_retention_months,
    }
}

pub(super) fn seconds(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// In the same order, each once: the objects' lists are sets.
pub(super) fn unique(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut found = Vec::new();
    texts.for_each(|text| {
        if !found.contains(&text) {
            found.push(text);
        }
    });
    found
}
