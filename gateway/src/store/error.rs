//! Two kinds of failure: the store is away (wait, or go on without it), or we asked it something wrong.

use claude_gateway_migrations::MigrationError;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nobody's request was wrong; the same call may pass later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Our own fault.
    #[error("the store refused a statement")]
    Refused(#[source] sqlx::Error),
}

impl StoreError {
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let away = match &error {
            sqlx::Error::Database(refusal) => refusal.code().is_some_and(|code| is_away(&code)),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            _ => false,
        };
        match away {
            true => Self::Unavailable(error.to_string()),
            false => Self::Refused(error),
        }
    }
}

/// SQLSTATEs with which a server says that it, not the statement, is the trouble.
fn is_away(code: &str) -> bool {
    const CLASSES: [&str; 5] = [
        "08", // connection exception
        "28", // a password that is being rotated
        "53", // out of connections, memory, disk
        "57", // shutting down, starting up, statement cancelled by its time limit
        "58", // the server's own I/O
    ];
    // A read-only server is one that is being failed over; a deadlock or a lock timeout passes.
    const CODES: [&str; 4] = ["25006", "40001", "40P01", "55P03"];
    CLASSES.iter().any(|class| code.starts_with(class)) || CODES.contains(&code)
}

/// Why a boot has no store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("store.postgres_url is not a Postgres URL")]
    BadUrl,
    #[error("the store cannot be reached: {0}")]
    Unreachable(String),
    #[error(transparent)]
    Migration(#[from] MigrationError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_in_trouble_is_away_and_a_wrong_statement_is_not() {
        for away in ["08006", "28P01", "53300", "57P01", "57P03", "57014", "25006", "40P01"] {
            assert!(is_away(away), "{away}");
        }
        for wrong in ["42P01", "42501", "23505", "22021", "25001"] {
            assert!(!is_away(wrong), "{wrong}");
        }
        assert!(StoreError::from(sqlx::Error::PoolTimedOut).is_unavailable());
        assert!(!StoreError::from(sqlx::Error::RowNotFound).is_unavailable());
    }
}
