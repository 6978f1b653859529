//! Which changes of a configuration a running process can take, and which need a new one.
//!
//! Every type is taken apart field by field, so that a new field does not compile until it is classified here.

use std::mem::discriminant;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::section::{
    Config,
    admin::Admin,
    listen::Listen,
    managed::{Managed, PolicySource},
    oidc::Oidc,
    session::Session,
    store::Store,
    telemetry::{Destination, Export, Telemetry},
    upstream::{Provider, StaticHeader, Upstream},
};

/// The changed fields that need a new process; empty: the new configuration can be taken as it is.
pub fn restart_needed(old: &Config, new: &Config) -> Vec<String> {
    let mut changes = Changes::default();
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
        managed,
        telemetry,
        admin,
        enforcement,
        pricing,
        load_test_mode,
        files: _,
    } = old;
    changes.listen(listen, &new.listen);
    changes.oidc(oidc, &new.oidc);
    changes.session(session, &new.session);
    changes.store(store, &new.store);
    changes.upstreams(upstreams, &new.upstreams);
    changes.note("models", models, &new.models);
    changes.note("auto_include_builtin_models", auto_include_builtin_models, &new.auto_include_builtin_models);
    changes.note("access_control", access_control, &new.access_control);
    changes.note("limits", limits, &new.limits);
    changes.note("timeouts", timeouts, &new.timeouts);
    changes.note("rate_limits", rate_limits, &new.rate_limits);
    changes.note("managed.source", &policy_source(managed.as_ref()), &policy_source(new.managed.as_ref()));
    changes.section("telemetry", telemetry.as_ref(), new.telemetry.as_ref(), Changes::telemetry);
    changes.section("admin", admin.as_ref(), new.admin.as_ref(), Changes::admin);
    changes.note("enforcement", enforcement, &new.enforcement);
    changes.note("pricing", pricing, &new.pricing);
    changes.note("load_test_mode", load_test_mode, &new.load_test_mode);
    changes.0
}

#[derive(Default)]
struct Changes(Vec<String>);

impl Changes {
    fn note<T: PartialEq + ?Sized>(&mut self, field: &str, old: &T, new: &T) {
        if old != new {
            self.0.push(field.to_owned());
        }
    }

    /// A section that comes or goes needs a new process; one that stays is compared.
    fn section<T>(&mut self, field: &str, old: Option<&T>, new: Option<&T>, compare: impl FnOnce(&mut Self, &T, &T)) {
        match (old, new) {
            (Some(old), Some(new)) => compare(self, old, new),
            (old, new) => self.note(field, &old.is_some(), &new.is_some()),
        }
    }

    fn listen(&mut self, old: &Listen, new: &Listen) {
        let Listen { host, port, public_url, tls, trusted_proxies, metrics } = old;
        self.note("listen.host", host, &new.host);
        self.note("listen.port", port, &new.port);
        self.note("listen.public_url", public_url, &new.public_url);
        // Other files are read in place of these; only whether there is TLS at all is settled.
        self.note("listen.tls", &tls.is_some(), &new.tls.is_some());
        self.note("listen.trusted_proxies", trusted_proxies, &new.trusted_proxies);
        self.note("listen.metrics", metrics, &new.metrics);
    }

    fn oidc(&mut self, old: &Oidc, new: &Oidc) {
        let Oidc {
            issuer: _,
            issuer_text,
            client_id,
            authentication,
            allowed_email_domains,
            allowed_groups,
            groups_claim,
            google_groups,
            email_claim,
            scopes,
            extra_auth_params,
            userinfo_fallback,
            use_pkce,
            clock_skew,
            signing_algorithm,
            additional_authorized_parties,
            discovery_url,
            use_proxy,
            form_action_origins,
            ca_cert_pem,
            scope_on_refresh,
        } = old;
        self.note("oidc.issuer", issuer_text, &new.issuer_text);
        self.note("oidc.client_id", client_id, &new.client_id);
        // The secret, or the key with its certificate, is taken; another method is not.
        let (method, new_method) = (discriminant(authentication), discriminant(&new.authentication));
        self.note("oidc.token_endpoint_auth_method", &method, &new_method);
        self.note("oidc.allowed_email_domains", allowed_email_domains, &new.allowed_email_domains);
        self.note("oidc.allowed_groups", allowed_groups, &new.allowed_groups);
        self.note("oidc.groups_claim", groups_claim, &new.groups_claim);
        self.note("oidc.google_groups", google_groups, &new.google_groups);
        self.note("oidc.email_claim", email_claim, &new.email_claim);
        self.note("oidc.scopes", scopes, &new.scopes);
        self.note("oidc.extra_auth_params", extra_auth_params, &new.extra_auth_params);
        self.note("oidc.userinfo_fallback", userinfo_fallback, &new.userinfo_fallback);
        self.note("oidc.use_pkce", use_pkce, &new.use_pkce);
        self.note("oidc.clock_skew_seconds", clock_skew, &new.clock_skew);
        self.note("oidc.id_token_signed_response_alg", signing_algorithm, &new.signing_algorithm);
        let parties = "oidc.additional_authorized_parties";
        self.note(parties, additional_authorized_parties, &new.additional_authorized_parties);
        self.note("oidc.discovery_url", discovery_url, &new.discovery_url);
        self.note("oidc.use_proxy", use_proxy, &new.use_proxy);
        self.note("oidc.form_action_origins", form_action_origins, &new.form_action_origins);
        self.note("oidc.ca_cert_pem", ca_cert_pem, &new.ca_cert_pem);
        self.note("oidc.scope_on_refresh", scope_on_refresh, &new.scope_on_refresh);
    }

    fn session(&mut self, old: &Session, new: &Session) {
        let Session { jwt_secrets: _, ttl, max_age } = old;
        self.note("session.ttl_hours", ttl, &new.ttl);
        self.note("session.max_days", max_age, &new.max_age);
    }

    fn store(&mut self, old: &Store, new: &Store) {
        let Store {
            postgres_url,
            username: _,
            password: _,
            max_connections,
            connect_timeout,
            readiness_grace,
            schema,
            migrate,
            readiness,
            journal_dir,
            ca_cert_pem,
        } = old;
        // Who the gateway is there, and by which password, is taken for the connections from then on.
        self.note("store.postgres_url", &without_login(postgres_url), &without_login(&new.postgres_url));
        self.note("store.max_connections", max_connections, &new.max_connections);
        self.note("store.connect_timeout_seconds", connect_timeout, &new.connect_timeout);
        self.note("store.readiness_grace_seconds", readiness_grace, &new.readiness_grace);
        self.note("store.schema", schema, &new.schema);
        self.note("store.migrate", migrate, &new.migrate);
        self.note("store.readiness", readiness, &new.readiness);
        self.note("store.journal_dir", journal_dir, &new.journal_dir);
        self.note("store.ca_cert_pem", ca_cert_pem, &new.ca_cert_pem);
    }

    fn upstreams(&mut self, old: &[Upstream], new: &[Upstream]) {
        if !old.iter().map(|upstream| &upstream.name).eq(new.iter().map(|upstream| &upstream.name)) {
            self.0.push("upstreams".to_owned());
            return;
        }
        for (at, (old, new)) in old.iter().zip(new).enumerate() {
            self.upstream(&format!("upstreams[{at}]"), old, new);
        }
    }

    fn upstream(&mut self, at: &str, old: &Upstream, new: &Upstream) {
        let Upstream {
            name: _,
            provider,
            base_url,
            headers,
            models,
            priority,
            weight,
            max_concurrent,
            zero_retention,
            ca_cert_pem,
        } = old;
        let Provider::Anthropic { auth, forward_user_identity } = provider;
        let Provider::Anthropic { auth: new_auth, forward_user_identity: new_forward } = &new.provider;
        // Another credential is taken; another kind of credential is not.
        self.note(&format!("{at}.auth"), &discriminant(auth), &discriminant(new_auth));
        self.note(&format!("{at}.forward_user_identity"), forward_user_identity, new_forward);
        self.note(&format!("{at}.base_url"), base_url, &new.base_url);
        self.headers(&format!("{at}.headers"), headers, &new.headers);
        self.note(&format!("{at}.models"), models, &new.models);
        self.note(&format!("{at}.priority"), priority, &new.priority);
        self.note(&format!("{at}.weight"), weight, &new.weight);
        self.note(&format!("{at}.max_concurrent"), max_concurrent, &new.max_concurrent);
        self.note(&format!("{at}.zero_retention"), zero_retention, &new.zero_retention);
        self.note(&format!("{at}.ca_cert_pem"), ca_cert_pem, &new.ca_cert_pem);
    }

    fn headers(&mut self, field: &str, old: &[StaticHeader], new: &[StaticHeader]) {
        let plain = |header: &StaticHeader| {
            let StaticHeader { name, value } = header;
            (name.clone(), value.expose_secret().to_owned())
        };
        if !old.iter().map(plain).eq(new.iter().map(plain)) {
            self.0.push(field.to_owned());
        }
    }

    fn telemetry(&mut self, old: &Telemetry, new: &Telemetry) {
        let Telemetry { forward_to, resource_attributes, export } = old;
        self.note("telemetry.forward_to", &forward_to.len(), &new.forward_to.len());
        for (at, (old, new)) in forward_to.iter().zip(&new.forward_to).enumerate() {
            self.destination(&format!("telemetry.forward_to[{at}]"), old, new);
        }
        self.note("telemetry.resource_attributes", resource_attributes, &new.resource_attributes);
        self.section("telemetry.export", export.as_ref(), new.export.as_ref(), Self::export);
    }

    fn destination(&mut self, at: &str, old: &Destination, new: &Destination) {
        let Destination { url, headers, metrics, logs, traces, google_auth } = old;
        self.note(&format!("{at}.url"), url, &new.url);
        self.headers(&format!("{at}.headers"), headers, &new.headers);
        self.note(&format!("{at}.metrics"), metrics, &new.metrics);
        self.note(&format!("{at}.logs"), logs, &new.logs);
        self.note(&format!("{at}.traces"), traces, &new.traces);
        self.note(&format!("{at}.auth.google"), google_auth, &new.google_auth);
    }

    fn export(&mut self, old: &Export, new: &Export) {
        let Export { endpoint, protocol, headers, interval, metrics, audit } = old;
        self.note("telemetry.export.endpoint", endpoint, &new.endpoint);
        self.note("telemetry.export.protocol", protocol, &new.protocol);
        self.headers("telemetry.export.headers", headers, &new.headers);
        self.note("telemetry.export.interval_seconds", interval, &new.interval);
        self.note("telemetry.export.metrics", metrics, &new.metrics);
        self.note("telemetry.export.audit", audit, &new.audit);
    }

    fn admin(&mut self, old: &Admin, new: &Admin) {
        let Admin {
            write_keys: _,
            read_keys: _,
            admin_groups: _,
            blocked_message,
            audit_retention_days,
            spend_retention_months,
            identity_retention_days,
            group_limit_mode,
            billing_group_tag,
        } = old;
        self.note("admin.blocked_message", blocked_message, &new.blocked_message);
        self.note("admin.audit_retention_days", audit_retention_days, &new.audit_retention_days);
        self.note("admin.spend_retention_months", spend_retention_months, &new.spend_retention_months);
        self.note("admin.identity_retention_days", identity_retention_days, &new.identity_retention_days);
        self.note("admin.group_limit_mode", group_limit_mode, &new.group_limit_mode);
        self.note("admin.billing_group_tag", billing_group_tag, &new.billing_group_tag);
    }
}

/// Policies are taken as they come, the first and the last of them too.
fn policy_source(managed: Option<&Managed>) -> PolicySource {
    managed.map_or(PolicySource::File, |Managed { source, policies: _ }| *source)
}

fn without_login(url: &SecretString) -> Option<Url> {
    let mut url = Url::parse(url.expose_secret()).ok()?;
    url.set_password(None).ok()?;
    url.set_username("").ok()?;
    Some(url)
}
