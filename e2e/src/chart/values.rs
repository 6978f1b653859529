//! The chart's values as its file explains them: `docs/chart-values.md` is made from the comments of `values.yaml`.
//!
//! A value is a key with a comment right above it; keys below it belong to its default.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use super::folder;

pub const FILE: &str = "docs/chart-values.md";

const HEAD: &str = "\
# Values of the chart

Made from `charts/claude-gateway-operator/values.yaml` by `make chart`. The schema beside that file refuses everything else.

| value | default | what it does |
|---|---|---|
";

/// One row of the reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Documented {
    /// From the top, such as `image.tag`.
    pub path: Vec<String>,
    pub default: Value,
    pub text: String,
}

impl Documented {
    pub fn name(&self) -> String {
        self.path.join(".")
    }
}

/// All of them, in the file's order.
pub fn documented() -> Result<Vec<Documented>> {
    read(&fs::read_to_string(folder().join("values.yaml"))?)
}

/// The page.
pub fn reference() -> Result<String> {
    let mut page = String::from(HEAD);
    for value in documented()? {
        let text = value.text.replace('|', "\\|");
        page.push_str(&format!("| `{}` | `{}` | {text} |\n", value.name(), value.default));
    }
    Ok(page)
}

fn read(file: &str) -> Result<Vec<Documented>> {
    let defaults: Value = serde_saphyr::from_str(file).context("values.yaml")?;
    let mut found: Vec<Documented> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    let mut above: Vec<(usize, String)> = Vec::new();
    for line in file.lines() {
        let content = line.trim_start();
        if let Some(said) = content.strip_prefix('#') {
            comment.push(said.trim());
            continue;
        }
        let said = std::mem::take(&mut comment).join(" ");
        let Some(key) = key(content) else { continue };
        let indent = line.len() - content.len();
        above.retain(|(outer, _)| *outer < indent);
        above.push((indent, key.to_owned()));
        if !said.is_empty() {
            let path: Vec<String> = above.iter().map(|(_, key)| key.clone()).collect();
            let default = path.iter().try_fold(&defaults, |tree, key| tree.get(key));
            let default = default.with_context(|| format!("no {}", path.join(".")))?.clone();
            found.push(Documented { path, default, text: said });
        }
    }
    Ok(found)
}

/// The key that a line begins with; entries of lists and blank lines have none.
fn key(content: &str) -> Option<&str> {
    let (key, _) = content.split_once(':')?;
    (!key.is_empty() && !key.starts_with('-') && !key.contains(' ')).then_some(key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_a_key_with_a_comment_right_above_it() {
        let file = "# About the file.\n\n# The first,\n# in two lines.\na: 1\ngroup:\n  # Inside.\n  b:\n    - c: {d: e}\nf: {}\n";
        let found = read(file).unwrap();
        let expected = |path: &[&str], default: Value, text: &str| Documented {
            path: path.iter().map(|&key| key.to_owned()).collect(),
            default,
            text: text.to_owned(),
        };
        assert_eq!(
            found,
            [
                expected(&["a"], json!(1), "The first, in two lines."),
                expected(&["group", "b"], json!([{"c": {"d": "e"}}]), "Inside."),
            ]
        );
    }
}
