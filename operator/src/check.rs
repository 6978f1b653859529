//! `claude-gateway-operator check`: whether this cluster lets the operator do its work and its gateways do theirs, and one line
//! for whatever is missing.
//!
//! Invariant: nothing is written. It asks under the operator's own account, from where the operator would run, so what it says
//! is what the operator would meet. No line holds a credential.

mod certificate;
mod cluster;
mod database;
mod gateways;
mod name;
mod provider;

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use gateway_egress::{Egress, SystemResolver};
use kube::Client;
use url::Url;

pub use cluster::RIGHTS;

use self::database::Role;
use crate::{engine::settings::Settings, gateway::issuer::Question, store::DatabaseAccess};

/// What is to be checked besides the cluster and its gateways: for whoever has no gateway yet.
#[derive(Debug, Clone, Default, Args)]
pub struct Plan {
    /// A file that holds the URL of a database, with the role that is to migrate.
    #[arg(long, value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,
    /// An identity provider's issuer URL.
    #[arg(long, value_name = "URL")]
    pub issuer: Option<Url>,
    /// The address that developers will be told.
    #[arg(long, value_name = "URL")]
    pub public_url: Option<Url>,
}

/// One line of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    Good(String),
    /// Nothing is wrong, and somebody may wonder.
    Note(String),
    /// With the remedy.
    Bad(String),
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Good(text) => write!(f, "ok    {text}"),
            Self::Note(text) => write!(f, "note  {text}"),
            Self::Bad(text) => write!(f, "FAIL  {text}"),
        }
    }
}

/// `None` for a client: there is no cluster, and only what the plan names is checked.
pub async fn check(settings: &Settings, plan: &Plan, client: Option<&Client>, egress: &Arc<Egress>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(client) = client {
        findings.extend(cluster::cluster(settings, client).await);
        if !findings.iter().any(|finding| matches!(finding, Finding::Bad(_))) {
            findings.extend(gateways::gateways(settings, client, egress).await);
        }
    }
    findings.extend(planned(plan, egress).await);
    findings
}

async fn planned(plan: &Plan, egress: &Arc<Egress>) -> Vec<Finding> {
    let Plan { database_url_file, issuer, public_url } = plan;
    let mut findings = Vec::new();
    if let Some(file) = database_url_file {
        match std::fs::read_to_string(file) {
            Ok(url) => {
                let access = DatabaseAccess {
                    url: url.trim().to_owned().into(),
                    username: None,
                    password: None,
                    schema: "claude_gateway".to_owned(),
                    ca_pem: None,
                };
                findings.extend(database::database("the database", access, Role::MakesPodsRole).await);
            }
            Err(error) => findings.push(Finding::Bad(format!(
                "{} cannot be read ({}): correct the path or the rights",
                file.display(),
                error.kind()
            ))),
        }
    }
    if let Some(issuer) = issuer {
        let question = Question::new(issuer.as_str().trim_end_matches('/'), None, None);
        findings.extend(provider::provider("the identity provider", &question, Duration::ZERO, egress).await);
    }
    if let Some(url) = public_url {
        findings.push(name::name("the public address", url, &SystemResolver).await);
    }
    findings
}
