//! One file per section of `gateway.yaml`. These types hold only what was validated.

pub mod admin;
pub mod http;
pub mod listen;
pub mod load_test;
pub mod managed;
pub mod models;
pub mod oidc;
pub mod pricing;
pub mod session;
pub mod store;
pub mod telemetry;
pub mod upstream;

use std::path::PathBuf;

use crate::{
    fields::Fields,
    vocabulary::{Fallback, Key, Shape, Table},
};

/// A whole, valid `gateway.yaml`.
#[derive(Debug, Clone)]
pub struct Config {
    pub listen: listen::Listen,
    pub oidc: oidc::Oidc,
    pub session: session::Session,
    pub store: store::Store,
    /// In the file's order; names are distinct.
    pub upstreams: Vec<upstream::Upstream>,
    pub models: Vec<models::ModelEntry>,
    pub auto_include_builtin_models: bool,
    pub access_control: http::AccessControl,
    pub limits: http::Limits,
    pub timeouts: http::Timeouts,
    pub rate_limits: http::RateLimits,
    pub managed: Option<managed::Managed>,
    pub telemetry: Option<telemetry::Telemetry>,
    pub admin: Option<admin::Admin>,
    pub enforcement: admin::Enforcement,
    pub pricing: Option<pricing::Pricing>,
    pub load_test_mode: Option<load_test::LoadTestMode>,
    /// Every file that was read for this configuration (itself, `${file:}` references, TLS): what a reload watches.
    pub files: Vec<PathBuf>,
}

pub(crate) static ROOT: Table = Table {
    about: "The configuration of one gateway.",
    keys: &[&[
        Key::required("listen", Shape::Section(&listen::LISTEN), "Where the gateway serves."),
        Key::required("oidc", Shape::Section(&oidc::OIDC), "The identity provider and who may sign in."),
        Key::required("session", Shape::Section(&session::SESSION), "How long a sign-in lasts and what signs it."),
        Key::required("store", Shape::Section(&store::STORE), "The Postgres database."),
        Key::required(
            "upstreams",
            Shape::List(&upstream::UPSTREAM),
            "Where inference goes, in the order in which they are tried.",
        ),
        Key::optional(
            "models",
            Shape::List(&Shape::Section(&models::MODEL)),
            "Models besides the built-in ones, and ids.",
        ),
        Key::optional(
            "auto_include_builtin_models",
            Shape::Flag,
            "Offer the built-in models as well; false: only those listed under `models`.",
        )
        .or(Fallback::Flag(true)),
        Key::optional("access_control", Shape::Section(&http::ACCESS_CONTROL), "Which addresses are served.")
            .or(Fallback::Section),
        Key::optional("limits", Shape::Section(&http::LIMITS), "The largest request that is read.")
            .or(Fallback::Section),
        Key::optional("timeouts", Shape::Section(&http::TIMEOUTS), "How long the gateway waits for others.")
            .or(Fallback::Section),
        Key::optional("rate_limits", Shape::Section(&http::RATE_LIMITS), "Limits per address on the sign-in pages.")
            .or(Fallback::Section),
        Key::optional("managed", Shape::Section(&managed::MANAGED), "Policies: what applies to whom."),
        Key::optional("telemetry", Shape::Section(&telemetry::TELEMETRY), "Where telemetry goes."),
        Key::optional("admin", Shape::Section(&admin::ADMIN), "The admin API and spend limits."),
        Key::optional("enforcement", Shape::Section(&admin::ENFORCEMENT), "What limits do while the database is away.")
            .or(Fallback::Section),
        Key::optional("pricing", Shape::Section(&pricing::PRICING), "Contracted rates instead of list prices."),
        Key::optional(
            "load_test_mode",
            Shape::Section(&load_test::LOAD_TEST_MODE),
            "The gateway answers itself, for load tests.",
        ),
    ]],
};

impl Config {
    /// Everything but `files`. A section that cannot be read does not keep the next from being read.
    pub(crate) fn read(fields: &Fields<'_>) -> Option<Self> {
        let listen = fields.section("listen").map(|fields| listen::Listen::read(&fields));
        let oidc = fields.section("oidc").map(|fields| oidc::Oidc::read(&fields));
        let session = fields.section("session").map(|fields| session::Session::read(&fields));
        let store = fields.section("store").map(|fields| store::Store::read(&fields));
        let upstreams = upstream::Upstream::read_all(fields);
        let models = models::ModelEntry::read_all(fields);
        let access_control = fields.section("access_control").map(|fields| http::AccessControl::read(&fields));
        let limits = fields.section("limits").and_then(|fields| http::Limits::read(&fields));
        let timeouts = fields.section("timeouts").and_then(|fields| http::Timeouts::read(&fields));
        let rate_limits = fields.section("rate_limits").and_then(|fields| http::RateLimits::read(&fields));
        let managed = fields.section("managed").map(|fields| managed::Managed::read(&fields));
        let telemetry = fields.section("telemetry").map(|fields| telemetry::Telemetry::read(&fields));
        let admin = fields.section("admin").map(|fields| admin::Admin::read(&fields));
        let pricing = fields.section("pricing").map(|fields| pricing::Pricing::read(&fields));
        let load_test_mode = fields.section("load_test_mode").map(|fields| load_test::LoadTestMode::read(&fields));
        Some(Self {
            listen: listen??,
            oidc: oidc??,
            session: session??,
            store: store??,
            upstreams,
            models,
            auto_include_builtin_models: fields.flag("auto_include_builtin_models")?,
            access_control: access_control?,
            limits: limits?,
            timeouts: timeouts?,
            rate_limits: rate_limits?,
            managed: managed.flatten(),
            telemetry: telemetry.flatten(),
            admin: admin.flatten(),
            enforcement: admin::Enforcement::read(&fields.section("enforcement")?)?,
            pricing: pricing.flatten(),
            load_test_mode: load_test_mode.flatten(),
            files: Vec::new(),
        })
    }
}
