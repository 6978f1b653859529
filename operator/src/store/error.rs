//! What can go wrong with a gateway's database: whose fault it is, and what they can do. Nothing here quotes a credential.

use claude_gateway_migrations::MigrationError;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database's URL cannot be read")]
    BadUrl,
    /// The same call may pass later.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    #[error("the database refuses the login: {0}")]
    LoginRefused(String),
    #[error("the role of the operator lacks a right: {0}")]
    Forbidden(String),
    #[error("the gateway's tables are not there yet")]
    NotMigrated,
    #[error("the schema could not be migrated: {}", in_full(.0))]
    Migration(#[source] MigrationError),
    #[error("the role `{0}` exists already and may do more than a pod may")]
    ForeignRole(String),
    #[error("{sessions} sessions still use the login `{login}`, whose password would change")]
    LoginInUse { login: String, sessions: i64 },
    #[error("no randomness")]
    NoRandomness,
    /// The operator's own fault.
    #[error("the database refused a statement: {0}")]
    Refused(#[source] sqlx::Error),
}

/// Who can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Whoever wrote the gateway's `database` section or its Secret.
    Configuration,
    /// Whoever runs the database; or nobody, and it passes.
    Database,
    /// Whoever wrote this operator.
    Operator,
}

impl StoreError {
    /// The reason of a condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadUrl => "DatabaseUrlInvalid",
            Self::Unavailable(_) => "DatabaseUnavailable",
            Self::LoginRefused(_) => "DatabaseLoginRefused",
            Self::Forbidden(_) => "DatabaseRightMissing",
            Self::NotMigrated => "DatabaseNotMigrated",
            Self::Migration(_) => "MigrationFailed",
            Self::ForeignRole(_) => "DatabaseRoleConflict",
            Self::LoginInUse { .. } | Self::NoRandomness | Self::Refused(_) => "OperatorFault",
        }
    }

    /// What to do about it, in a sentence for a status.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::BadUrl => "write a URL such as postgres://db.example.com:5432/gateway into the Secret",
            Self::Unavailable(_) => "see that the database runs and is reached from the operator; it is tried again",
            Self::LoginRefused(_) => {
                "put the role's present password into the Secret, and allow the role in pg_hba.conf"
            }
            Self::Forbidden(_) => {
                "let the role own the schema (or have CREATE on the database), and give it CREATEROLE or write \
                 database.podSecretRef"
            }
            Self::NotMigrated => "wait: the gateway's controller makes them",
            Self::Migration(_) => "read the reason, mend the schema or the role's rights; it is tried again",
            Self::ForeignRole(_) => "drop or rename that role, or write database.podSecretRef",
            Self::LoginInUse { .. } => "wait: pods leave it when their Secret has reached them; it is tried again",
            Self::NoRandomness | Self::Refused(_) => "report this, with the operator's log",
        }
    }

    pub fn fault(&self) -> Fault {
        match self {
            Self::BadUrl | Self::LoginRefused(_) | Self::Forbidden(_) | Self::ForeignRole(_) => Fault::Configuration,
            Self::Unavailable(_) | Self::NotMigrated | Self::Migration(_) | Self::LoginInUse { .. } => Fault::Database,
            Self::NoRandomness | Self::Refused(_) => Fault::Operator,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let known = match &error {
            sqlx::Error::Database(refusal) => refusal.code().and_then(|code| of_code(&code, refusal.message())),
            // A URL that cannot be used is found when a connection is made.
            sqlx::Error::Configuration(_) => Some(Self::BadUrl),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Some(Self::Unavailable(error.to_string())),
            _ => None,
        };
        known.unwrap_or(Self::Refused(error))
    }
}

impl From<MigrationError> for StoreError {
    fn from(error: MigrationError) -> Self {
        match error {
            MigrationError::Store(error) => error.into(),
            error => Self::Migration(error),
        }
    }
}

/// By the SQLSTATE with which the server refused.
fn of_code(code: &str, message: &str) -> Option<StoreError> {
    // Out of connections, memory or disk; shutting down or starting up or timed out; its own I/O.
    const AWAY: [&str; 4] = ["08", "53", "57", "58"];
    // Being failed over; a deadlock or a lock timeout passes; a catalogue row that somebody else changed at this moment.
    const PASSES: [&str; 5] = ["25006", "40001", "40P01", "55P03", "XX000"];
    let message = message.to_owned();
    match code {
        "42P01" | "3F000" => Some(StoreError::NotMigrated),
        "42501" => Some(StoreError::Forbidden(message)),
        // No such database.
        "3D000" => Some(StoreError::LoginRefused(message)),
        code if code.starts_with("28") => Some(StoreError::LoginRefused(message)),
        code if PASSES.contains(&code) || AWAY.iter().any(|class| code.starts_with(class)) => {
            Some(StoreError::Unavailable(message))
        }
        _ => None,
    }
}

/// An error and what it comes from, in one line.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        said = format!("{said}: {cause}");
        source = cause.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_whose_fault_it_is() {
        let cases = [
            ("28P01", Fault::Configuration, "DatabaseLoginRefused"),
            ("3D000", Fault::Configuration, "DatabaseLoginRefused"),
            ("42501", Fault::Configuration, "DatabaseRightMissing"),
            ("42P01", Fault::Database, "DatabaseNotMigrated"),
            ("53300", Fault::Database, "DatabaseUnavailable"),
            ("57P03", Fault::Database, "DatabaseUnavailable"),
            ("55P03", Fault::Database, "DatabaseUnavailable"),
        ];
        for (code, fault, reason) in cases {
            let error = of_code(code, "said").unwrap();
            assert_eq!((error.fault(), error.reason()), (fault, reason), "{code}");
            assert!(!error.remedy().is_empty());
        }
        assert!(of_code("42601", "a statement of ours is wrong").is_none());
        assert_eq!(StoreError::from(sqlx::Error::RowNotFound).fault(), Fault::Operator);
    }
}
