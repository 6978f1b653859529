//! What the API server was asked, by its own audit log: the judge of what a client needs and does.

use std::{
    collections::HashSet,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

/// All requests, once they have been answered, with nothing of their content; watches when they begin, too.
const POLICY: &str = r#"{
  "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [{"level": "Metadata"}]
}"#;

/// A moment in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `system:serviceaccount:<namespace>:<name>`, say.
    pub user: String,
    /// What the client calls itself.
    pub agent: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// Empty for the core group.
    pub group: String,
    /// `pods`; empty for what is no resource, as `/readyz`.
    pub resource: String,
    /// `status`; empty for the object itself.
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    /// With the query.
    pub uri: String,
    pub status: u16,
    pub at: DateTime<Utc>,
}

impl Call {
    pub fn is_write(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
    }
}

/// Longer than a line is.
const LONGEST: u64 = 1024 * 1024;

/// The log's file.
#[derive(Debug, Clone)]
pub(super) struct AuditLog(PathBuf);

impl AuditLog {
    pub(super) fn new(home: &Path) -> Result<Self> {
        std::fs::write(home.join("audit-policy.json"), POLICY)?;
        Ok(Self(home.join("audit.log")))
    }

    /// The API server's options. Blocking: a request's line is there before its answer is.
    pub(super) fn options(&self) -> [String; 4] {
        let policy = self.0.with_file_name("audit-policy.json");
        [
            format!("--audit-policy-file={}", policy.display()),
            format!("--audit-log-path={}", self.0.display()),
            "--audit-log-mode=blocking".to_owned(),
            // In MiB: in one piece, or a mark would point into another file.
            "--audit-log-maxsize=100000".to_owned(),
        ]
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.0.metadata().map(|data| data.len()).unwrap_or_default())
    }

    /// Each request once, in the order of their first lines.
    pub(super) fn since(&self, mark: Mark) -> Result<Vec<Call>> {
        let mut file = File::open(&self.0).context("the audit log")?;
        // A mark may lie within a line that was being written then: its request was answered later.
        let before = mark.0.min(LONGEST);
        file.seek(SeekFrom::Start(mark.0 - before))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let before = bytes.iter().take(usize::try_from(before)?).rposition(|byte| *byte == b'\n');
        let text = String::from_utf8(bytes.split_off(before.map_or(0, |end| end + 1)))?;
        // A line that is being written has no end yet.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        calls(whole)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(rename = "auditID")]
    id: String,
    #[serde(rename = "requestURI")]
    uri: String,
    verb: String,
    user: Value,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: Value,
    #[serde(default)]
    response_status: Value,
    request_received_timestamp: DateTime<Utc>,
}

fn calls(lines: &str) -> Result<Vec<Call>> {
    let mut seen = HashSet::new();
    let mut calls = Vec::new();
    for line in lines.lines() {
        let line: Line = serde_json::from_str(line).with_context(|| format!("an audit line: {line}"))?;
        if seen.insert(line.id.clone()) {
            calls.push(line.into());
        }
    }
    Ok(calls)
}

impl From<Line> for Call {
    fn from(line: Line) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let object = &line.object_ref;
        Self {
            user: text(&line.user["username"]),
            agent: line.user_agent,
            verb: line.verb,
            group: text(&object["apiGroup"]),
            resource: text(&object["resource"]),
            subresource: text(&object["subresource"]),
            namespace: text(&object["namespace"]),
            name: text(&object["name"]),
            uri: line.uri,
            status: line.response_status["code"].as_u64().and_then(|code| code.try_into().ok()).unwrap_or_default(),
            at: line.request_received_timestamp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_being_written_at_the_mark_is_told_whole() {
        let home = tempfile::tempdir().unwrap();
        let (audit, line) = (AuditLog(home.path().join("audit.log")), |id: &str| {
            format!(
                r#"{{"auditID":"{id}","requestURI":"/{id}","verb":"get","user":{{}},"requestReceivedTimestamp":"2026-11-01T10:00:00.000000Z"}}"#
            ) + "\n"
        });
        let (first, second) = (line("a"), line("b"));
        for (written, told) in
            [(first.len(), vec!["/b"]), (first.len() + 9, vec!["/b"]), (9, vec!["/a", "/b"]), (0, vec!["/a", "/b"])]
        {
            let all = [&*first, &second].concat();
            std::fs::write(&audit.0, &all[..written]).unwrap();
            let mark = audit.mark();
            std::fs::write(&audit.0, &all).unwrap();
            let calls = audit.since(mark).unwrap();
            assert_eq!(calls.iter().map(|call| &*call.uri).collect::<Vec<_>>(), told, "{written}");
        }
    }

    #[test]
    fn a_watch_that_began_and_ended_is_one_call() {
        let line = |stage: &str, verb: &str, id: &str| {
            format!(
                r#"{{"auditID":"{id}","stage":"{stage}","requestURI":"/api/v1/pods?watch=1","verb":"{verb}",
                   "user":{{"username":"system:serviceaccount:a:b"}},"objectRef":{{"resource":"pods","namespace":"n"}},
                   "responseStatus":{{"code":200}},"requestReceivedTimestamp":"2026-01-31T12:34:56.789012Z"}}"#
            )
            .replace('\n', "")
        };
        let log = [
            line("ResponseStarted", "watch", "1"),
            line("ResponseComplete", "patch", "2"),
            line("ResponseComplete", "watch", "1"),
        ];
        let calls = calls(&log.join("\n")).unwrap();
        assert_eq!(calls.iter().map(|call| call.verb.as_str()).collect::<Vec<_>>(), ["watch", "patch"]);
        assert!(calls[1].is_write() && !calls[0].is_write());
        assert_eq!((calls[0].resource.as_str(), calls[0].namespace.as_str(), calls[0].status), ("pods", "n", 200));
    }
}
