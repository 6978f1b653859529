//! One file per section of `gateway.yaml`. These types hold only what was validated.

pub mod http;
pub mod listen;
pub mod models;
pub mod oidc;
pub mod session;
pub mod store;
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
            files: Vec::new(),
        })
    }
}
