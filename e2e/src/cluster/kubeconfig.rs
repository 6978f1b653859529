//! Who speaks with the API server, and how: an address, an authority to trust, a token.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use serde_json::json;

/// A file for `KUBECONFIG`, and what is in it.
#[derive(Debug, Clone)]
pub struct Kubeconfig {
    path: PathBuf,
    text: String,
    token: String,
}

impl Kubeconfig {
    pub(super) fn write(path: PathBuf, server: &str, authority: &Path, token: &str) -> Result<Self> {
        let text = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority": authority}}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        });
        let text = format!("{text:#}\n");
        fs::write(&path, &text)?;
        Ok(Self { path, text, token: token.to_owned() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's text: JSON, which is YAML.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn token(&self) -> &str {
        &self.token
    }
}
