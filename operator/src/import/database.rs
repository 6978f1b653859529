//! `store`: the database's URL, and the role that migrates.

use crds::gateway::database::Database;
use gateway_config::Store;

use super::{Source, gateway::seconds, lift, secrets::Purpose};

pub(super) fn section(store: &Store, source: &mut Source<'_>) -> Database {
    let Store {
        postgres_url: _,
        username: _,
        password: _,
        max_connections,
        connect_timeout,
        readiness_grace: _,
        schema,
        migrate: _,
        readiness: _,
        journal_dir: _,
        ca_cert_pem: _,
    } = store;
    let take = |source: &Source<'_>, key: &str| source.lifted.get(&format!("store.{key}")).cloned();
    let url = take(source, "postgres_url");
    let url_secret_ref =
        url.as_ref().map(|url| source.secrets.keep(Purpose::Database, "postgres-url", "store.postgres_url", url));
    let (username, password) = (take(source, "username"), take(source, "password"));
    let has_login = username.is_some() || password.is_some();
    let (url_username, url_password) = url.as_ref().map(lift::credentials).unwrap_or_default();
    for (key, written, in_url) in [("username", username, url_username), ("password", password, url_password)] {
        if !has_login {
            break;
        }
        let of_url = |value: String| lift::Kept { value: value.into(), references: Vec::new() };
        match written.or_else(|| in_url.map(of_url)) {
            Some(kept) => drop(source.secrets.keep(Purpose::Database, key, &format!("store.{key}"), &kept)),
            None => {
                let note = format!(
                    "Fill in: the file says the {key} of the role that migrates only within a reference, or nowhere."
                );
                source.secrets.ask(Purpose::Database, key, &note);
            }
        }
    }
    let ca = take(source, "ca_cert_pem");
    source.notes.say(
        "/spec/database",
        "The role of the file is the one that creates and alters tables. Pods get a role of their own, which the operator makes \
         with it: it needs CREATEROLE (`ALTER ROLE … CREATEROLE`), or podSecretRef names a role that is there.",
    );
    Database {
        url_secret_ref,
        host: None,
        port: None,
        name: None,
        ssl_mode: None,
        ca_certificate: ca
            .map(|kept| source.secrets.authority(Purpose::Database, "ca.crt", "store.ca_cert_pem", &kept)),
        migration_secret_ref: has_login.then(|| source.secrets.credentials(Purpose::Database)),
        pod_secret_ref: None,
        schema: schema.clone(),
        max_connections: *max_connections,
        connect_timeout_seconds: seconds(*connect_timeout),
    }
}
