//! What is wrong with a file, where, and what to do about it. A complaint never quotes a value: it could be a secret.

use std::{cell::RefCell, fmt};

use crate::path::FieldPath;

/// One reason to refuse the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{path}: {problem}: {remedy}")]
pub struct ConfigError {
    pub path: FieldPath,
    pub problem: String,
    pub remedy: String,
}

/// Every reason to refuse the file, sorted by path; one line each when displayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

/// Nothing to refuse the file for, but something its operator should know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    pub path: FieldPath,
    pub text: String,
}

/// What a parser of one value says; the caller knows the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) problem: String,
    pub(crate) remedy: String,
}

/// Where the whole reading of one file writes what it finds.
#[derive(Default)]
pub(crate) struct Findings {
    errors: RefCell<Vec<ConfigError>>,
    warnings: RefCell<Vec<Warning>>,
}

impl ConfigErrors {
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }

    pub(crate) fn one(path: FieldPath, complaint: Complaint) -> Self {
        let Complaint { problem, remedy } = complaint;
        Self(vec![ConfigError { path, problem, remedy }])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

impl Complaint {
    pub(crate) fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: remedy.into() }
    }
}

impl Findings {
    pub(crate) fn refuse(&self, path: FieldPath, complaint: Complaint) {
        let Complaint { problem, remedy } = complaint;
        self.errors.borrow_mut().push(ConfigError { path, problem, remedy });
    }

    pub(crate) fn warn(&self, path: FieldPath, text: impl Into<String>) {
        self.warnings.borrow_mut().push(Warning { path, text: text.into() });
    }

    /// The warnings, or every error if there is one.
    pub(crate) fn into_verdict(self) -> Result<Vec<Warning>, ConfigErrors> {
        let mut errors = self.errors.into_inner();
        if errors.is_empty() {
            let mut warnings = self.warnings.into_inner();
            warnings.sort();
            return Ok(warnings);
        }
        errors.sort();
        errors.dedup();
        Err(ConfigErrors(errors))
    }
}
