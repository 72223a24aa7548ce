//! One connection to the database, from the first packet to transactions that bring their settings with them.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::{LoadBalanceHosts, SslMode, TargetSessionAttrs};
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::{explain, explain_connecting, no_answer};
use super::options::{PostgresOptions, quoted};
use super::tls;
use crate::env::Secret;
use crate::limits;
use crate::reconcile::SinkError;

const IDLE_SECONDS: u64 = limits::DATABASE_IDLE_SECONDS;
const CONNECT: Duration = Duration::from_secs(limits::DATABASE_CONNECT_SECONDS);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Batches, one after the other.
    Apply,
    /// Short questions.
    Read,
    /// Everything, on somebody's demand, with work in between that may take long.
    ReadAll,
    /// Migrations on somebody's demand, who may wait longer.
    Migrate,
}

impl Purpose {
    /// Settings for one transaction, as its first statements. None of them outlives it, and nothing else is
    /// ever set: a pooler hands the session to somebody else afterwards. Every wait is bounded: a lock that a
    /// person holds, a statement that hangs, and, on the server's side, a writer that is gone without a word
    /// and still has the watermark's row. Weaker durability than the default is not accepted, stronger is.
    /// That writers may write is left to the server: one that is full may have been set to read-only.
    fn settings(self, schema: &str) -> String {
        let (mode, statement_s, idle_s) = match self {
            Purpose::Apply => (
                "ISOLATION LEVEL READ COMMITTED",
                limits::SINK_APPLY_SECONDS,
                IDLE_SECONDS,
            ),
            Purpose::Read => ("READ ONLY", limits::SINK_SLOW_SECONDS, IDLE_SECONDS),
            Purpose::ReadAll => ("ISOLATION LEVEL REPEATABLE READ, READ ONLY", 0, 0),
            Purpose::Migrate => ("ISOLATION LEVEL READ COMMITTED", 0, IDLE_SECONDS),
        };
        format!(
            "SET TRANSACTION {mode};
             SET LOCAL search_path = {schema}, pg_temp;
             SET LOCAL timezone = 'UTC';
             SET LOCAL client_min_messages = warning;
             SET LOCAL statement_timeout = '{statement_s}s';
             SET LOCAL lock_timeout = '{lock}s';
             SET LOCAL idle_in_transaction_session_timeout = '{idle_s}s';
             SET LOCAL tcp_keepalives_idle = {idle};
             SET LOCAL tcp_keepalives_interval = 2;
             SET LOCAL tcp_keepalives_count = 5;
             SELECT set_config('synchronous_commit', 'on', true)
             WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write');",
            schema = quoted(schema),
            lock = limits::DATABASE_LOCK_SECONDS,
            idle = IDLE_SECONDS,
        )
    }
}

/// How to connect, worked out once.
#[derive(Clone)]
pub struct PostgresDial {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    /// It may be replaced at any time.
    password: Option<Secret>,
    schema: String,
    /// Is set whenever the server says something that was not asked for.
    warned: Option<Arc<AtomicBool>>,
}

impl PostgresDial {
    /// Reads what the options name.
    ///
    /// # Errors
    /// The certificates of the authorities cannot be read.
    pub fn new(options: &PostgresOptions) -> Result<Self, SinkError> {
        let tls = tls::connector(options)?;
        let mut config = Config::new();
        // Each gets its part of the time: the others are asked where one says nothing.
        let servers = 1 + u32::try_from(options.others.len()).expect("a few");
        config
            .host(&options.host)
            .port(options.port)
            .user(&options.user)
            .dbname(&options.dbname)
            .application_name("flashsale")
            .connect_timeout(CONNECT / servers)
            .keepalives_idle(Duration::from_secs(limits::DATABASE_IDLE_SECONDS))
            .ssl_mode(match tls {
                Some(_) => SslMode::Require,
                None => SslMode::Disable,
            });
        for other in &options.others {
            config.host(&other.host).port(other.port);
        }
        if !options.others.is_empty() {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
            // The first one may be an old primary that nobody follows any more.
            config.load_balance_hosts(LoadBalanceHosts::Random);
        }
        Ok(Self {
            config,
            tls,
            password: options.password.clone(),
            schema: options.schema.clone(),
            warned: None,
        })
    }

    /// Connects.
    ///
    /// # Errors
    /// Nobody answers in time, or not as hoped; or the database cannot hold our texts.
    pub(super) async fn connect(&self, purpose: Purpose) -> Result<Connection, SinkError> {
        let slow = |_| no_answer(CONNECT.as_secs());
        let connected = timeout(CONNECT, self.raw()).await.map_err(slow)?;
        let raw = connected.map_err(|error| explain_connecting(&error))?;
        match raw.encoding.as_deref() {
            // The latter takes bytes as they come.
            None | Some("UTF8" | "SQL_ASCII") => {}
            Some(other) => {
                return Err(SinkError::Refused(format!(
                    "the database's encoding is {other}, but must be UTF8: names could not be kept"
                )));
            }
        }
        Ok(Connection {
            client: raw.client,
            task: raw.task,
            settings: self.settings(purpose),
        })
    }

    /// Connects for statements that each take no longer than `statement_ms`: what waits for longer is ended by the server, also when nobody listens any
    /// more. That is a setting of the session, which a pooler may refuse. `warned` is set whenever the server says something that was not asked for.
    ///
    /// # Errors
    /// Nobody answers in time, or not as hoped.
    pub async fn connect_watched(
        &self,
        warned: Arc<AtomicBool>,
        statement_ms: u64,
    ) -> Result<(Client, JoinHandle<()>), SinkError> {
        let slow = |_| no_answer(CONNECT.as_secs());
        let mut dial = Self {
            warned: Some(warned),
            ..self.clone()
        };
        dial.config
            .options(format!("-c statement_timeout={statement_ms}"));
        let connected = timeout(CONNECT, dial.raw()).await.map_err(slow)?;
        let raw = connected.map_err(|error| explain_connecting(&error))?;
        Ok((raw.client, raw.task))
    }

    /// What each transaction for `purpose` begins with; a message of several statements is one, too.
    pub(super) fn settings(&self, purpose: Purpose) -> String {
        purpose.settings(&self.schema)
    }

    /// As [`PostgresDial::connect`], for a pool, which keeps its own time. A password that is rejected is looked for again:
    /// in its file, and among those before it.
    pub(super) async fn raw(&self) -> Result<DrivenClient, Error> {
        let Some(password) = &self.password else {
            return self.attempt(None).await;
        };
        let attempt = |password| self.attempt(Some(password));
        password.attempt("Postgres", is_rejection, attempt).await
    }

    async fn attempt(&self, password: Option<SecretString>) -> Result<DrivenClient, Error> {
        let mut config = self.config.clone();
        if let Some(password) = password {
            config.password(password.expose_secret());
        }
        let warned = self.warned.clone();
        Ok(match &self.tls {
            None => DrivenClient::drive(config.connect(NoTls).await?, warned),
            Some(tls) => DrivenClient::drive(config.connect(tls.clone()).await?, warned),
        })
    }
}

fn is_rejection(error: &Error) -> bool {
    error.code() == Some(&SqlState::INVALID_PASSWORD)
}

/// A connection with the task that moves its bytes.
pub(super) struct DrivenClient {
    pub(super) client: Client,
    pub(super) task: JoinHandle<()>,
    encoding: Option<String>,
}

impl DrivenClient {
    fn drive<T>(
        (client, mut connection): (Client, tokio_postgres::Connection<Socket, T>),
        warned: Option<Arc<AtomicBool>>,
    ) -> Self
    where
        T: TlsStream + Unpin + Send + 'static,
    {
        let encoding = connection.parameter("server_encoding").map(str::to_owned);
        let task = tokio::spawn(async move {
            // Whoever waits for an answer hears of the failure, too.
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await
            {
                if let AsyncMessage::Notice(notice) = message {
                    if let Some(warned) = &warned {
                        warned.store(true, Ordering::SeqCst);
                    }
                    log_notice(&notice);
                }
            }
        });
        Self {
            client,
            task,
            encoding,
        }
    }
}

/// Logs what the database says without being asked, with its name: the library's own line has none.
fn log_notice(notice: &DbError) {
    let (severity, said) = (notice.severity(), notice.message());
    tracing::info!("Postgres says: {severity}: {said}");
}

/// A connection that is cut when it is dropped, whatever it is doing: what it had begun is undone by
/// the server.
pub(super) struct Connection {
    client: Client,
    task: JoinHandle<()>,
    settings: String,
}

impl Connection {
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// What each of its transactions begins with.
    pub(super) fn settings(&self) -> &str {
        &self.settings
    }

    /// Begins a transaction. If it is not ended in order, the connection must go.
    ///
    /// # Errors
    /// The database does not answer, or a pooler before it allows no transactions.
    pub(super) async fn begin(&self) -> Result<(), SinkError> {
        self.run(&format!("BEGIN; {}", self.settings)).await
    }

    /// Keeps what the transaction did.
    ///
    /// # Errors
    /// It is unknown whether it was kept.
    pub(super) async fn commit(&self) -> Result<(), SinkError> {
        self.run("COMMIT").await
    }

    /// Undoes what the transaction did.
    ///
    /// # Errors
    /// The database does not answer.
    pub(super) async fn rollback(&self) -> Result<(), SinkError> {
        self.run("ROLLBACK").await
    }

    async fn run(&self, statements: &str) -> Result<(), SinkError> {
        let done = self.client.batch_execute(statements).await;
        done.map_err(|error| explain(&error))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::reconcile::postgres::options::Encryption;
    use crate::types::ServerAddress;

    #[test]
    fn a_server_that_says_nothing_leaves_time_for_the_others() {
        let other = |last: u8| ServerAddress {
            host: format!("127.0.0.{last}"),
            port: 5432,
        };
        let timeout_with = |others| {
            let options = PostgresOptions {
                host: "127.0.0.1".into(),
                port: 5432,
                others,
                user: "shop".into(),
                password: None,
                dbname: "flashsale".into(),
                schema: "public".into(),
                encryption: Encryption::Off,
                authorities: None,
                migrations: PathBuf::new(),
            };
            let dial = PostgresDial::new(&options).expect("nothing to read");
            *dial.config.get_connect_timeout().expect("it is set")
        };
        assert_eq!(timeout_with(Vec::new()), CONNECT);
        assert_eq!(timeout_with(vec![other(2), other(3)]), CONNECT / 3);
    }
}
