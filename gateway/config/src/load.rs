//! From the file's text to a valid [`Config`], or to everything that is wrong with it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{
    check::Checker,
    complaint::{Complaint, ConfigErrors, Findings, Warning},
    environment::{Environment, ProcessSettings},
    expansion::{Disk, Files, Sources},
    fields::{Fields, Surroundings},
    not_yet,
    path::FieldPath,
    rules,
    section::{Config, ROOT},
    yaml,
};

#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Warning>,
}

impl Config {
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(path: &Path, environment: &Environment) -> Result<Loaded, ConfigErrors> {
        let text = Disk.read(path).map_err(|error| {
            refusal(format!("{} cannot be read ({})", path.display(), error.kind()), "correct the path or the rights")
        })?;
        let text = String::from_utf8(text).map_err(|_| {
            refusal(format!("{} is not UTF-8 text", path.display()), "check that this is the right file")
        })?;
        let mut loaded = Self::parse(&text, environment, &Disk)?;
        loaded.config.files.insert(0, path.to_owned());
        Ok(loaded)
    }

    /// The same without a file of its own; the files that the text names come from `files`.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn parse(text: &str, environment: &Environment, files: &dyn Files) -> Result<Loaded, ConfigErrors> {
        let tree = tree(text)?;
        let sources = Sources::new(environment, files);
        let findings = Findings::default();
        let config = {
            let root = Checker { sources: &sources, findings: &findings }.section(&tree, &ROOT, &FieldPath::root());
            not_yet::refuse_all(&root, &findings);
            let process = ProcessSettings::read(environment).ok().map(|(settings, _)| settings);
            let surroundings = Surroundings { sources: &sources, findings: &findings, process };
            let fields = Fields::new(&root, FieldPath::root(), &surroundings);
            let config = Config::read(&fields);
            rules::check(&fields, config.as_ref());
            config
        };
        let warnings = findings.into_verdict()?;
        // Without an error every section could be read; were one not, the file would be refused all the same.
        let config = config.ok_or_else(|| refusal("cannot be read whole", "report this, with the file"))?;
        Ok(Loaded { config: Config { files: sorted(sources.into_files()), ..config }, warnings })
    }
}

/// The file as it is written: nothing in it is judged or looked up.
///
/// # Errors
/// It is no YAML, or no mapping.
pub fn tree(text: &str) -> Result<serde_json::Map<String, serde_json::Value>, ConfigErrors> {
    match yaml::parse(text).map_err(|complaint| ConfigErrors::one(FieldPath::root(), complaint))? {
        serde_json::Value::Object(tree) => Ok(tree),
        _ => Err(refusal("holds no mapping", "begin with the sections listen, oidc, session, store and upstreams")),
    }
}

fn refusal(problem: impl Into<String>, remedy: &str) -> ConfigErrors {
    ConfigErrors::one(FieldPath::root(), Complaint::new(problem, remedy))
}

fn sorted(files: BTreeSet<PathBuf>) -> Vec<PathBuf> {
    files.into_iter().collect()
}
