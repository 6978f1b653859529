//! Kinds of somebody else's controller, as their own projects define them; the controllers do not run here.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

use super::programs::folder_of;

pub const HTTP_ROUTE: Foreign = Foreign("gateway.networking.k8s.io", "httproutes");
pub const CERTIFICATE: Foreign = Foreign("cert-manager.io", "certificates");
pub const SERVICE_MONITOR: Foreign = Foreign("monitoring.coreos.com", "servicemonitors");
pub const PROMETHEUS_RULE: Foreign = Foreign("monitoring.coreos.com", "prometheusrules");
pub const EXTERNAL_SECRET: Foreign = Foreign("external-secrets.io", "externalsecrets");

/// Its group and plural.
#[derive(Debug, Clone, Copy)]
pub struct Foreign(&'static str, &'static str);

/// Their CustomResourceDefinitions. Fetched first where they are missing (`tools/foreign-definitions`).
pub async fn definitions(which: &[Foreign]) -> Result<Vec<Value>> {
    let folder = folder_of("foreign-definitions", &[]).await?;
    which.iter().map(|kind| kind.definition(&folder)).collect()
}

impl Foreign {
    fn definition(self, folder: &Path) -> Result<Value> {
        let Self(group, plural) = self;
        let path = folder.join(format!("{group}_{plural}.yaml"));
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        serde_saphyr::from_str(&text).with_context(|| path.display().to_string())
    }
}
