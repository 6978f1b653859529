//! Connecting at boot: three tries, then an error that names the cause; the schema migrated or verified before anybody asks.

use std::{sync::Arc, time::Duration};

use gateway_config::Store as Config;
use secrecy::ExposeSecret;
use sqlx::{
    ConnectOptions, Connection, PgConnection,
    pool::PoolConnectionMetadata,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use tokio::sync::broadcast;

use super::{CALL, OpenError, Store, StoreHealth, bell::RINGS, channel};

const TRIES: u32 = 3;
const BETWEEN_TRIES: Duration = Duration::from_secs(2);
/// A connection that rested longer is asked whether it is still there before it is used.
const RESTED: Duration = Duration::from_secs(1);

impl Store {
    pub async fn open(config: &Config) -> Result<Arc<Self>, OpenError> {
        let options = connect_options(config)?;
        let mut tries = 1;
        while let Err(error) = prepare(config, &options).await {
            if tries == TRIES || !matches!(error, OpenError::Unreachable(_)) {
                return Err(error);
            }
            tracing::warn!(%error, tries, "the store does not answer yet");
            tries += 1;
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        let served = served(options, config);
        // One connection of the budget is the tick's, the next one listens. With two, the tick alone carries the news; with
        // one, it waits in line with everybody.
        let own = |budget: u32| (config.max_connections >= budget).then(|| pool(1).connect_lazy_with(served.clone()));
        let (pulse, ears) = (own(2), own(3));
        let taken = u32::from(pulse.is_some()) + u32::from(ears.is_some());
        let callers = config.max_connections.saturating_sub(taken).max(1);
        Ok(Arc::new(Self {
            pool: pool(callers).connect_lazy_with(served.clone()),
            pulse,
            ears,
            channel: channel(&config.schema, "revocation"),
            limit_channel: channel(&config.schema, "limit"),
            limit_rings: broadcast::Sender::new(RINGS),
            health: StoreHealth::default(),
            calls: 0.into(),
        }))
    }

    /// A changed role or password, for the connections from now on; those that are open stay.
    pub fn reload(&self, config: &Config) -> Result<(), OpenError> {
        let options = served(connect_options(config)?, config);
        for pool in self.pools() {
            pool.set_connect_options(options.clone());
        }
        Ok(())
    }
}

/// Connects once, to say early what is wrong, and brings the schema up to this binary.
async fn prepare(config: &Config, options: &PgConnectOptions) -> Result<(), OpenError> {
    let connecting = tokio::time::timeout(config.connect_timeout, PgConnection::connect_with(options)).await;
    let mut connection = match connecting {
        Ok(connected) => connected.map_err(|error| OpenError::Unreachable(error.to_string()))?,
        Err(_) => return Err(OpenError::Unreachable("no connection in time".to_owned())),
    };
    match config.migrate {
        true => claude_gateway_migrations::migrate(&mut connection, &config.schema).await?,
        false => claude_gateway_migrations::verify(&mut connection, &config.schema).await?,
    }
    let _ = connection.close().await;
    Ok(())
}

fn connect_options(config: &Config) -> Result<PgConnectOptions, OpenError> {
    let mut options: PgConnectOptions =
        config.postgres_url.expose_secret().parse().map_err(|_: sqlx::Error| OpenError::BadUrl)?;
    if let Some(username) = &config.username {
        options = options.username(username);
    }
    if let Some(password) = &config.password {
        options = options.password(password.expose_secret());
    }
    if let Some(pem) = &config.ca_cert_pem {
        options = options.ssl_root_cert_from_pem(pem.clone().into_bytes());
    }
    Ok(options.application_name("claude-gateway").disable_statement_logging())
}

/// As the pods' calls need it: in the gateway's schema, and the server gives up when the caller has.
fn served(options: PgConnectOptions, config: &Config) -> PgConnectOptions {
    let limit = CALL.as_millis().to_string();
    options.options([("search_path", config.schema.as_str()), ("statement_timeout", &limit), ("lock_timeout", &limit)])
}

fn pool(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new().max_connections(connections).acquire_timeout(CALL).test_before_acquire(false).before_acquire(
        |connection, PoolConnectionMetadata { idle_for, .. }| {
            Box::pin(async move {
                if idle_for > RESTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        },
    )
}
