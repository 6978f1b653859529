//! The operator's chart as those meet it who install it: by helm, and by what is made from it for those who do not.
//!
//! Nothing here reads a template. What helm renders is what a cluster gets, and what is judged.

pub mod earlier;
pub mod helm;
pub mod plain;
pub mod values;

use std::path::{Path, PathBuf};

/// The repository's folder.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The chart of the definitions alone.
pub fn definitions() -> PathBuf {
    root().join("charts/claude-gateway-crds")
}

pub fn folder() -> PathBuf {
    root().join("charts/claude-gateway-operator")
}
