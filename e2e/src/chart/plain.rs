//! `deploy/install.yaml`: what the chart installs by default, for those who use kubectl alone.

use std::fs;

use anyhow::Result;

use super::{
    helm::{Helm, Release},
    root,
};

pub const FILE: &str = "deploy/install.yaml";

const NAME: &str = "claude-gateway-operator";
const NAMESPACE: &str = "claude-gateway-system";
const HEAD: &str = "\
# The operator of Claude gateways, as `helm template` renders its chart by default. Made by `make chart`.
#   kubectl apply --server-side -f install.yaml
";

/// The namespace first, then the chart; without its test, which only helm would run.
pub fn manifest(helm: &Helm) -> Result<String> {
    let release =
        Release { namespace: NAMESPACE.into(), options: vec!["--skip-tests".into()], ..Release::named(NAME, "") };
    let namespace = fs::read_to_string(root().join("deploy/namespace.yaml"))?;
    Ok(format!("{HEAD}---\n{namespace}{}", helm.render(&release)?))
}
