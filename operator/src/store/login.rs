//! A login for pods, and another one in its place, without a moment in which pods cannot connect.
//!
//! ```text
//!            rotate                          the Secret holds b, the operator looks again
//!   a: used ───────▶ a: used, b: fresh ─────────────────────────────────────────────────▶ a: ends in an hour, b: used
//!   b: ended                                                                              rotate turns the two around
//! ```
//! A fresh password is only ever put on the login that is not in the pods' Secret and that no session uses, so what pods hold
//! works until they hold something else. An operator that ends between the two steps leaves a login that nobody uses.

use std::fmt;

use aws_lc_rs::rand::SecureRandom;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use sqlx::{Connection, PgConnection};

use super::{
    GatewayStore, StoreError, access,
    rights::{grant, lock_roles},
    role::{PodRoles, quoted, run},
    verifier::verifier,
};

/// What the pods' Secret holds.
#[derive(Clone)]
pub struct PodLogin {
    pub username: String,
    pub password: SecretString,
}

impl fmt::Debug for PodLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PodLogin").field(&self.username).finish()
    }
}

impl GatewayStore {
    /// Makes the pods' roles where they are missing and gives them their rights, after every migration. `held` is what the
    /// pods' Secret holds: it comes back as it is while it works, and its predecessor then ends within the hour. Otherwise a
    /// fresh login comes back, to be written into the Secret.
    pub async fn ensure_pod_login(
        &self,
        held: Option<&PodLogin>,
        random: &(dyn SecureRandom + Sync),
    ) -> Result<PodLogin, StoreError> {
        let roles = self.ensure_roles().await?;
        let Some(held) = held.filter(|held| roles.has_login(&held.username)) else {
            return self.fresh_login(&roles, None, random).await;
        };
        match self.try_login(held).await {
            Ok(()) => {
                self.end_predecessor(roles.other_than(&held.username)).await?;
                Ok(held.clone())
            }
            Err(StoreError::LoginRefused(_)) => self.fresh_login(&roles, Some(held), random).await,
            Err(error) => Err(error),
        }
    }

    /// A fresh login beside the one that pods use, which goes on working until the Secret holds the fresh one and
    /// [`ensure_pod_login`](Self::ensure_pod_login) has seen it there.
    ///
    /// # Errors
    /// [`StoreError::LoginInUse`] while sessions of the last rotation are still there.
    pub async fn rotate_pod_login(
        &self,
        held: &PodLogin,
        random: &(dyn SecureRandom + Sync),
    ) -> Result<PodLogin, StoreError> {
        let roles = self.ensure_roles().await?;
        let next = roles.other_than(&held.username);
        let sessions = self.call(async |connection| sessions(next, connection).await).await?;
        match sessions {
            0 => self.fresh_login(&roles, Some(held), random).await,
            sessions => Err(StoreError::LoginInUse { login: next.to_owned(), sessions }),
        }
    }

    async fn ensure_roles(&self) -> Result<PodRoles, StoreError> {
        self.call_within(access::WRITE, async |connection| {
            let mut transaction = connection.begin().await?;
            lock_roles(self.schema(), &mut transaction).await?;
            let roles = PodRoles::named(self.schema(), &mut transaction).await?;
            roles.make(&mut transaction).await?;
            grant(self.schema(), &roles.group, &mut transaction).await?;
            transaction.commit().await?;
            Ok(roles)
        })
        .await
    }

    async fn fresh_login(
        &self,
        roles: &PodRoles,
        held: Option<&PodLogin>,
        random: &(dyn SecureRandom + Sync),
    ) -> Result<PodLogin, StoreError> {
        let password = password(random)?;
        let verifier = verifier(&password, random)?;
        let username = self
            .call_within(access::WRITE, async |connection| {
                let mut transaction = connection.begin().await?;
                lock_roles(self.schema(), &mut transaction).await?;
                let [first, second] = &roles.logins;
                let login: &str = match held {
                    Some(held) => roles.other_than(&held.username),
                    // The Secret is lost. Pods that run may still know one of the two: the quieter one is taken.
                    None if sessions(first, &mut transaction).await? > sessions(second, &mut transaction).await? => {
                        second
                    }
                    None => first,
                };
                let name = quoted(login);
                let fresh = format!("ALTER ROLE {name} LOGIN PASSWORD '{verifier}' VALID UNTIL 'infinity'");
                run(&mut transaction, fresh).await?;
                transaction.commit().await?;
                Ok(login.to_owned())
            })
            .await?;
        let login = PodLogin { username, password: password.into() };
        // Proved before pods depend on it: pg_hba.conf may know the owner of the schema alone.
        self.try_login(&login).await?;
        Ok(login)
    }

    async fn try_login(&self, login: &PodLogin) -> Result<(), StoreError> {
        let connection = self.access.as_role(&login.username, &login.password).connection(access::CALL).await?;
        let _ = tokio::time::timeout(access::CONNECT, connection.close()).await;
        Ok(())
    }

    /// The pods' Secret holds another one by now, and a kubelet brings it to every pod in less than an hour. Only new
    /// connections ask for the time; those that are open stay.
    async fn end_predecessor(&self, login: &str) -> Result<(), StoreError> {
        self.call(async |connection| {
            let ends = sqlx::query_scalar!(
                r#"
                SELECT to_char(now() AT TIME ZONE 'utc' + interval '1 hour', 'YYYY-MM-DD HH24:MI:SS') AS "ends!"
                FROM pg_roles WHERE rolname = $1::text AND (rolvaliduntil IS NULL OR rolvaliduntil = 'infinity')
                "#,
                login,
            )
            .fetch_optional(&mut *connection)
            .await?;
            match ends {
                Some(ends) => run(connection, format!("ALTER ROLE {} VALID UNTIL '{ends}+00'", quoted(login))).await,
                None => Ok(()),
            }
        })
        .await
    }
}

async fn sessions(login: &str, connection: &mut PgConnection) -> Result<i64, StoreError> {
    let sessions =
        sqlx::query_scalar!(r#"SELECT count(*) AS "sessions!" FROM pg_stat_activity WHERE usename = $1::text"#, login)
            .fetch_one(connection)
            .await?;
    Ok(sessions)
}

/// 192 bits, of letters that need no quoting anywhere.
fn password(random: &(dyn SecureRandom + Sync)) -> Result<String, StoreError> {
    let mut bytes = [0; 24];
    random.fill(&mut bytes).map_err(|_| StoreError::NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
