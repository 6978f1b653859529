//! `claude-gateway-operator import`: a `gateway.yaml` becomes a ClaudeGateway, UserPolicies and Secrets.
//!
//! Invariant: what stood secret in the file goes into a Secret's `stringData` and nowhere else: no comment and no error quotes
//! it. Variables and files that the file names for a secret are not looked up; each becomes a key that waits to be filled in.
//! Pure but for reading the files that the file names elsewhere.

mod database;
mod door;
mod gateway;
mod lift;
mod names;
mod oidc;
mod policies;
mod pruning;
mod reach;
mod secrets;
mod stream;
mod unplaced;
mod upstream;

use std::{io, path::Path};

use gateway_config::{Config, ConfigErrors, Environment, Files, Warning};
use serde_json::{Map, Value, json};

use self::{
    lift::{Lifted, SERVICE_ACCOUNT_FILE},
    secrets::Secrets,
    stream::{Document, Notes},
};
use crate::gateway::validate::is_gateway_name;

/// What the file does not say.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// Of the ClaudeGateway; the other objects' names begin with it.
    pub name: String,
    /// `None`: wherever they are applied.
    pub namespace: Option<String>,
    /// The public host, in place of the file's.
    pub host: Option<String>,
}

impl Wishes {
    /// Of an object of this name.
    fn metadata(&self, name: &str) -> Value {
        let mut metadata = json!({ "name": name });
        if let Some(namespace) = &self.namespace {
            metadata["namespace"] = json!(namespace);
        }
        metadata
    }
}

/// Objects, and what their owner should know besides.
#[derive(Debug, Clone)]
pub struct Imported {
    /// A YAML stream, Secrets first.
    pub objects: String,
    pub warnings: Vec<Warning>,
    /// Keys of Secrets that hold no value yet, as `<Secret>/<key>`.
    pub to_fill_in: Vec<String>,
}

/// Everything that is wrong, one a line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ImportErrors(Vec<String>);

/// # Errors
/// Everything for which there are no objects, at once.
pub fn import(
    text: &str,
    environment: &Environment,
    files: &dyn Files,
    wishes: &Wishes,
) -> Result<Imported, ImportErrors> {
    let mut tree = gateway_config::tree(text).map(Value::Object).map_err(|errors| lines(&errors))?;
    let written = tree.clone();
    let mut problems = problems(wishes);
    if let Some(host) = &wishes.host
        && let Some(listen) = tree.get_mut("listen").and_then(Value::as_object_mut)
    {
        listen.insert("public_url".to_owned(), format!("https://{host}").into());
    }
    let mut heading = heading();
    let unplaced = unplaced::take(&mut tree);
    let (lifted, assertion) = lift::lift(&mut tree);
    heading.extend(unplaced.notes);
    heading.extend(references_left(&tree));
    let loaded = Config::parse(&tree.to_string(), environment, &StandIn(files));
    let (config, warnings) = match loaded {
        Ok(loaded) => (loaded.config, loaded.warnings),
        Err(errors) => {
            problems.extend(lines(&errors).0);
            return Err(ImportErrors(problems));
        }
    };
    if unplaced.upstreams.len() == config.upstreams.len() {
        problems.push(
            "upstreams: none of them has a place in the objects of this version: add one with provider: anthropic"
                .to_owned(),
        );
    }
    let mut source = Source {
        written: &written,
        lifted,
        assertion,
        dropped: unplaced.upstreams,
        names: names::Names::default(),
        secrets: Secrets::new(wishes),
        notes: Notes::default(),
    };
    let policies = policies::documents(&config, wishes, &mut problems);
    let gateway = gateway::document(&config, &mut source, wishes, &mut problems);
    if !problems.is_empty() {
        return Err(ImportErrors(problems));
    }
    let to_fill_in = source.secrets.to_fill_in();
    let documents: Vec<Document> = source.secrets.documents().into_iter().chain([gateway]).chain(policies).collect();
    Ok(Imported { objects: stream::write(&heading, &documents), warnings, to_fill_in })
}

/// What the sections are read from, and where what they find goes.
struct Source<'a> {
    /// The file, before anything was taken out of it.
    written: &'a Value,
    lifted: Lifted,
    /// The client proves itself by a certificate that a reference stands for.
    assertion: bool,
    /// Places in the list of upstreams that are stand-ins.
    dropped: Vec<usize>,
    names: names::Names,
    secrets: Secrets,
    notes: Notes,
}

impl Source<'_> {
    /// Whether the file says this itself; the path is a JSON Pointer.
    fn is_written(&self, pointer: &str) -> bool {
        self.written.pointer(pointer).is_some()
    }
}

fn problems(wishes: &Wishes) -> Vec<String> {
    let mut problems = Vec::new();
    if !is_gateway_name(&wishes.name) {
        problems.push(
            "--name: is no name of a gateway: write a letter, then letters, digits and dashes in lower case, 56 at most"
                .to_owned(),
        );
    }
    if let Some(namespace) = &wishes.namespace
        && names::label(namespace) != *namespace
    {
        problems
            .push("--namespace: is no name of a namespace: write letters, digits and dashes in lower case".to_owned());
    }
    if let Some(host) = &wishes.host
        && (host.contains(['/', '@', '?', '#']) || host.contains(char::is_whitespace) || host.is_empty())
    {
        problems.push("--host: is no host: write one such as claude.example.com, without https:// and path".to_owned());
    }
    problems
}

fn heading() -> Vec<String> {
    [
        "What a gateway.yaml became. Read the comments: each stands where something was chosen, could not be taken over, or has \
         to be filled in. The Secrets hold what was secret in the file.",
        "This gateway does not take over session.jwt_secret: the operator makes and rotates the keys that sign, so everybody \
         signs in once more.",
        "What the environment of the old gateway said is not in its file: a proxy goes into spec.proxy, the log level into \
         spec.logLevel, and CLAUDE_GATEWAY_DRAIN_TIMEOUT_MS (25 s unless set) into spec.timeouts.drainSeconds (600 unless set).",
        "The identity provider has to know this gateway's callback, <publicUrl>/oauth/callback, if publicUrl is not the old one.",
    ]
    .map(str::to_owned)
    .into()
}

/// Texts that are no secret and name variables or files: an object holds no reference, so they are looked up now.
fn references_left(tree: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let outside = tree
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(section, _)| !matches!(section.as_str(), "session" | "managed"));
    for (section, value) in outside {
        walk(value, section.clone(), &mut found);
    }
    found
}

fn walk(value: &Value, path: String, found: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            let references = gateway_config::references(text).unwrap_or_default();
            if !references.is_empty() {
                found.push(format!(
                    "{path} stood for {}: objects hold no references, so it has the value that the reference has here and now.",
                    references.join(" and ")
                ));
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| walk(item, format!("{path}[{at}]"), found));
        }
        Value::Object(entries) => entries.iter().for_each(|(key, value)| walk(value, format!("{path}.{key}"), found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn lines(errors: &ConfigErrors) -> ImportErrors {
    ImportErrors(errors.iter().map(ToString::to_string).collect())
}

/// The files of this machine, but for the one that becomes a key of a Secret.
struct StandIn<'a>(&'a dyn Files);

impl Files for StandIn<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.to_str() {
            Some(SERVICE_ACCOUNT_FILE) => Ok(br#"{"client_email":"stand-in","private_key":"stand-in"}"#.to_vec()),
            _ => self.0.read(path),
        }
    }
}

type Object = Map<String, Value>;

#[cfg(test)]
mod tests;
