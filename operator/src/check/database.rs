//! A gateway's Postgres: reached, new enough, writable, and what the role that migrates may do.

use super::Finding;
use crate::store::{DatabaseAccess, GatewayStore, Inspection};

/// Older servers are not maintained any more, and nothing here is tried on them.
const OLDEST: i32 = 14;

/// What the role that migrates has to do besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    MakesPodsRole,
    /// Somebody else made it.
    GivesRights,
}

pub(super) async fn database(called: &str, access: DatabaseAccess, role: Role) -> Vec<Finding> {
    let schema = access.schema.clone();
    let inspected = match GatewayStore::connect(access) {
        Ok(store) => {
            let inspected = store.inspect().await;
            store.close().await;
            inspected
        }
        Err(error) => Err(error),
    };
    match inspected {
        Ok(inspection) => judged(called, &schema, &inspection, role),
        Err(error) => vec![Finding::Bad(format!("{called}: {error}: {}", error.remedy()))],
    }
}

fn judged(called: &str, schema: &str, inspection: &Inspection, role: Role) -> Vec<Finding> {
    let Inspection { version, is_standby, may_create, owns_schema, makes_roles } = *inspection;
    let major = version / 10_000;
    let mut bad = Vec::new();
    if major < OLDEST {
        bad.push(format!("is Postgres {major}, older than {OLDEST}: upgrade the server"));
    }
    if is_standby {
        bad.push("is a standby, which takes no writes: write the address of the primary".to_owned());
    }
    match owns_schema {
        Some(true) => {}
        Some(false) => bad.push(format!(
            "the role that migrates does not own the schema {schema}: run ALTER SCHEMA {schema} OWNER TO it, or name another schema"
        )),
        None if may_create => {}
        None => bad.push(
            "the role that migrates may not make a schema: run GRANT CREATE ON DATABASE … TO it, or make the schema for it"
                .to_owned(),
        ),
    }
    if role == Role::MakesPodsRole && !makes_roles {
        bad.push(
            "the role that migrates may not make the pods' role: run ALTER ROLE … CREATEROLE, or write database.podSecretRef"
                .to_owned(),
        );
    }
    match bad.is_empty() {
        true => vec![Finding::Good(format!("{called}: Postgres {major}, and the role that migrates has its rights"))],
        false => bad.into_iter().map(|problem| Finding::Bad(format!("{called}: {problem}"))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f8_what_a_server_or_a_role_lacks_is_named_with_its_remedy() {
        let fine =
            Inspection { version: 160_004, is_standby: false, may_create: true, owns_schema: None, makes_roles: true };
        let say = |inspection: Inspection, role: Role| {
            let findings = judged("database", "claude", &inspection, role);
            findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(
            say(fine, Role::MakesPodsRole),
            "ok    database: Postgres 16, and the role that migrates has its rights"
        );
        for (inspection, remedy) in [
            (Inspection { version: 130_021, ..fine }, "upgrade the server"),
            (Inspection { is_standby: true, ..fine }, "the address of the primary"),
            (Inspection { may_create: false, ..fine }, "GRANT CREATE ON DATABASE"),
            (Inspection { owns_schema: Some(false), ..fine }, "ALTER SCHEMA claude OWNER TO"),
            (Inspection { makes_roles: false, ..fine }, "CREATEROLE"),
        ] {
            let said = say(inspection, Role::MakesPodsRole);
            assert!(said.starts_with("FAIL  database: ") && said.contains(remedy), "{said}");
        }
        assert!(say(Inspection { makes_roles: false, ..fine }, Role::GivesRights).starts_with("ok"));
        assert!(
            say(Inspection { may_create: false, owns_schema: Some(true), ..fine }, Role::GivesRights).starts_with("ok")
        );
    }
}
