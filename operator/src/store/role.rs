//! The roles that pods connect as, where the operator makes them.
//!
//! ```text
//!   <schema>_<hash>_pods          a group that cannot log in and has every right
//!     ├─ <schema>_<hash>_pod_a    two logins that have none of their own: one that pods use,
//!     └─ <schema>_<hash>_pod_b    the other for the next password
//! ```
//! Roles belong to the whole server, so their names carry a hash of the database's name.

use sqlx::{AssertSqlSafe, Executor, PgConnection};

use super::StoreError;

pub(super) struct PodRoles {
    pub(super) group: String,
    pub(super) logins: [String; 2],
}

impl PodRoles {
    pub(super) async fn named(schema: &str, connection: &mut PgConnection) -> Result<Self, StoreError> {
        let hash = sqlx::query_scalar!(
            r#"SELECT left(encode(sha256(convert_to(current_database(), 'UTF8')), 'hex'), 8) AS "hash!""#
        )
        .fetch_one(connection)
        .await?;
        // A role's name is cut at 63 bytes; a schema is ASCII.
        let base = format!("{}_{hash}", schema.get(..44).unwrap_or(schema));
        Ok(Self { group: format!("{base}_pods"), logins: [format!("{base}_pod_a"), format!("{base}_pod_b")] })
    }

    /// The other of the two.
    pub(super) fn other_than(&self, login: &str) -> &str {
        let [first, second] = &self.logins;
        if first == login { second } else { first }
    }

    pub(super) fn has_login(&self, name: &str) -> bool {
        self.logins.iter().any(|login| login == name)
    }

    /// Makes what is missing of the three.
    pub(super) async fn make(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let Self { group, logins: [first, second] } = self;
        let names = [group.clone(), first.clone(), second.clone()];
        let there = sqlx::query!(
            r#"
            SELECT rolname::text AS "name!",
                (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls) AS "is_mighty!"
            FROM pg_roles WHERE rolname::text = ANY($1)
            "#,
            &names[..],
        )
        .fetch_all(&mut *connection)
        .await?;
        if let Some(mighty) = there.iter().find(|role| role.is_mighty) {
            return Err(StoreError::ForeignRole(mighty.name.clone()));
        }
        let is_missing = |name: &str| !there.iter().any(|role| role.name == name);
        if is_missing(group) {
            run(connection, format!("CREATE ROLE {} NOLOGIN", quoted(group))).await?;
        }
        for login in [first, second].into_iter().filter(|login| is_missing(login)) {
            run(connection, format!("CREATE ROLE {} LOGIN IN ROLE {}", quoted(login), quoted(group))).await?;
        }
        Ok(())
    }
}

/// Statements that take no parameters and are not said twice, so nobody prepares them: their names are quoted by [`quoted`].
pub(super) async fn run(connection: &mut PgConnection, statements: String) -> Result<(), StoreError> {
    connection.execute(AssertSqlSafe(statements)).await?;
    Ok(())
}

/// As SQL writes a name, whatever is in it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_its_quotes() {
        assert_eq!(quoted(r#"a"; DROP ROLE b; --"#), r#""a""; DROP ROLE b; --""#);
    }
}
