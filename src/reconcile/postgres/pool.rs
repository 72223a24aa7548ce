//! Connections for short questions, apart from the one that writes: an answer must not wait for a
//! batch.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use deadpool_postgres::{Connect, Manager, ManagerConfig, Pool, PoolError, Runtime};
use tokio::task::JoinHandle;
use tokio_postgres::{Config, Error};

use super::connection::{PostgresDial, Purpose};
use super::failure::{explain_connecting, no_answer};
use super::position::PostgresPosition;
use crate::limits;
use crate::reconcile::SinkError;

/// Connections that may only read.
pub(super) struct Readers {
    pool: Pool,
    settings: String,
}

impl Readers {
    /// A pool that connects when it is asked for the first time. Its connections live on the runtime
    /// that asks.
    pub(super) fn new(dial: PostgresDial) -> Result<Self, SinkError> {
        let patience = Some(Duration::from_secs(limits::DATABASE_CONNECT_SECONDS));
        let settings = dial.settings(Purpose::Read);
        // The pool has no use for a configuration: ours knows how to connect.
        let manager = Manager::from_connect(Config::new(), Dialler(dial), ManagerConfig::default());
        let pool = Pool::builder(manager)
            .max_size(limits::DATABASE_READERS_MAX)
            .wait_timeout(patience)
            .create_timeout(patience)
            .runtime(Runtime::Tokio1)
            .build();
        let pool = pool.map_err(|error| SinkError::Unavailable(error.to_string()))?;
        Ok(Self { pool, settings })
    }

    /// Where the database is.
    ///
    /// # Errors
    /// No connection is free, or none can be made; or as [`PostgresPosition::read`].
    pub(super) async fn position(&self) -> Result<PostgresPosition, SinkError> {
        let client = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => explain_connecting(&error),
            PoolError::Timeout(_) => no_answer(limits::DATABASE_CONNECT_SECONDS),
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                SinkError::Unavailable("the pool of connections is closed".into())
            }
        })?;
        PostgresPosition::read(&client, &self.settings).await
    }
}

struct Dialler(PostgresDial);

type Dialled<'a> = Pin<
    Box<dyn Future<Output = Result<(tokio_postgres::Client, JoinHandle<()>), Error>> + Send + 'a>,
>;

impl Connect for Dialler {
    fn connect(&self, _config: &Config) -> Dialled<'_> {
        Box::pin(async move {
            let raw = self.0.raw().await?;
            Ok((raw.client, raw.task))
        })
    }
}
