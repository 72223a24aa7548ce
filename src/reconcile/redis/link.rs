//! A connection, with the two calls that change the projection.

use std::path::Path;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue,
    IntoConnectionInfo, Pipeline, RedisConnectionInfo, RedisResult, TlsCertificates, Value,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};

use super::failure;
use super::keys::WATERMARK;
use super::options::RedisOptions;
use super::script::{Call, Script};
use crate::env::{RealDisk, Secret, read_file};
use crate::limits;
use crate::reconcile::{SinkError, Watermark};
use crate::types::Lsn;

/// An open connection.
pub(super) struct Link {
    connection: MultiplexedConnection,
    script: Script,
}

/// What the token begins with that stays behind where a person had the projection emptied.
pub(super) const REQUESTED: &str = "requested-";

/// What the key of the watermark says.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) watermark: Watermark,
    /// The token of whoever fills the projection.
    pub(super) rebuilding: Option<String>,
    /// A call has begun to write and did not end.
    pub(super) writing: Option<String>,
}

impl State {
    /// Whether a person had the projection emptied, and nobody has begun to fill it since.
    pub(super) fn is_emptied_on_request(&self) -> bool {
        let token = self.rebuilding.as_deref();
        token.is_some_and(|token| token.starts_with(REQUESTED))
    }

    /// The watermark, where what is there can be followed up.
    pub(super) fn trusted(&self) -> Watermark {
        if self.rebuilding.is_some() || self.writing.is_some() {
            Watermark::ZERO
        } else {
            self.watermark
        }
    }
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// Says why not.
    pub(super) async fn open(options: &RedisOptions) -> Result<Self, SinkError> {
        let connection = match &options.password {
            None => connect(options, None).await,
            Some(password) => connect_with(options, password).await,
        }?;
        Ok(Self {
            connection: connection.map_err(|error| failure::of(&error))?,
            script: Script::new(),
        })
    }

    /// Makes sure that the calls can be made.
    pub(super) async fn prepare(&mut self) -> Result<(), SinkError> {
        self.script.load(&mut self.connection).await
    }

    /// Warns where Redis may throw away what nobody told it to.
    pub(super) async fn warn_of_eviction(&mut self) {
        let info: RedisResult<String> = self.query(redis::cmd("INFO").arg("memory")).await;
        if info.is_ok_and(|info| info.contains("maxmemory_policy:allkeys")) {
            tracing::warn!(
                "redis: its maxmemory-policy throws keys away when it is full, and the projection has \
                 to be filled again then; noeviction is the one to use"
            );
        }
    }

    /// One command.
    pub(super) async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        command.query_async(&mut self.connection).await
    }

    /// One command that must work.
    pub(super) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, SinkError> {
        let answer = self.query(command).await;
        answer.map_err(|error| failure::of(&error))
    }

    /// Several commands that must all work, sent together.
    pub(super) async fn ask_all<T: FromRedisValue>(
        &mut self,
        commands: &Pipeline,
    ) -> Result<T, SinkError> {
        let answers = commands.query_async(&mut self.connection).await;
        answers.map_err(|error| failure::of(&error))
    }

    /// Several commands that must all work, between which Redis runs no other. `MULTI` is written out, because the
    /// client's own transactions count wrong when Redis refuses that very command.
    pub(super) async fn ask_at_once<T: FromRedisValue>(
        &mut self,
        commands: &[Cmd],
    ) -> Result<T, SinkError> {
        let mut transaction = redis::pipe();
        transaction.cmd("MULTI").ignore();
        for command in commands {
            transaction.add_command(command.clone()).ignore();
        }
        transaction.cmd("EXEC");
        let (answers,) = self.ask_all(&transaction).await?;
        Ok(answers)
    }

    /// One of the calls; the words of its answer. They are `broke` and the reason where it ended half
    /// way.
    pub(super) async fn call(
        &mut self,
        call: Call,
        arguments: &dyn Fn(&mut Cmd),
    ) -> Result<Vec<String>, SinkError> {
        let answer = self.script.call(&mut self.connection, call, arguments);
        let answer: Value = match answer.await {
            Ok(answer) => answer,
            Err(error) => {
                let why = failure::of(&error);
                let answered = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension);
                let broke =
                    call == Call::Apply && answered && self.state().await?.writing.is_some();
                return if broke {
                    Ok(vec!["broke".into(), why.to_string()])
                } else {
                    Err(why)
                };
            }
        };
        let words: Vec<String> =
            redis::from_redis_value(answer).map_err(|error| failure::of(&error.into()))?;
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["wrong", key, wanted] => Err(failure::wrong_type(key, wanted)),
            ["ahead", key] => Err(failure::events_ahead(key)),
            ["denied", command] => Err(failure::denied(command)),
            ["moved"] => Err(SinkError::Moved),
            _ => Ok(words),
        }
    }

    /// How far the projection is.
    pub(super) async fn state(&mut self) -> Result<State, SinkError> {
        self.ask(&State::question()).await.map(State::of)
    }
}

/// The fields of the watermark's key.
pub(super) type StateFields = (Option<u64>, Option<u32>, Option<String>, Option<String>);

impl State {
    /// The command that reads it.
    pub(super) fn question() -> Cmd {
        let mut command = redis::cmd("HMGET");
        command.arg(WATERMARK);
        command.arg(&["lsn", "fingerprint", "rebuilding", "writing"]);
        command
    }

    /// What the answer says.
    pub(super) fn of((lsn, fingerprint, rebuilding, writing): StateFields) -> Self {
        State {
            watermark: Watermark {
                lsn: Lsn(lsn.unwrap_or(0)),
                fingerprint: fingerprint.unwrap_or(0),
            },
            rebuilding,
            writing,
        }
    }
}

/// Connects with the password, or where that is rejected with the one that is in its file by now, or that was
/// before.
async fn connect_with(
    options: &RedisOptions,
    password: &Secret,
) -> Result<RedisResult<MultiplexedConnection>, SinkError> {
    let rejected = match connect(options, Some(&password.get())).await? {
        Err(error) if failure::is_rejection(&error) => error,
        ended => return Ok(ended),
    };
    for other in password.others() {
        match connect(options, Some(&other)).await? {
            Err(error) if failure::is_rejection(&error) => {}
            Ok(connection) => {
                tracing::info!("Redis: the password was rejected, and another one accepted");
                password.accept(other);
                return Ok(Ok(connection));
            }
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Err(rejected))
}

/// # Errors
/// The outer one when the connection cannot be set up as configured.
async fn connect(
    options: &RedisOptions,
    password: Option<&SecretString>,
) -> Result<RedisResult<MultiplexedConnection>, SinkError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(limits::SINK_CONNECT_SECONDS)))
        .set_response_timeout(Some(Duration::from_secs(limits::REDIS_ANSWER_SECONDS)));
    let client = client(options, password)?;
    Ok(client
        .get_multiplexed_async_connection_with_config(&config)
        .await)
}

fn client(options: &RedisOptions, password: Option<&SecretString>) -> Result<Client, SinkError> {
    let mut settings = RedisConnectionInfo::default()
        .set_db(i64::from(options.db))
        .set_skip_set_lib_name();
    if let Some(user) = &options.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = password {
        settings = settings.set_password(password.expose_secret());
    }
    let (host, port) = (options.host.clone(), options.port);
    let address = if options.tls {
        ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        }
    } else {
        ConnectionAddr::Tcp(host, port)
    };
    let info = address
        .into_connection_info()
        .map_err(|error| failure::of(&error))?
        .set_redis_settings(settings);
    let client = if options.tls {
        // Where somebody else has installed one already, that one is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let root_cert = options
            .authorities
            .as_deref()
            .map(authorities)
            .transpose()?;
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert,
        };
        Client::build_with_tls(info, certificates)
    } else {
        Client::open(info)
    };
    client.map_err(|_| SinkError::Refused("the connection cannot be set up as configured".into()))
}

/// The certificates in the file at `path`.
fn authorities(path: &Path) -> Result<Vec<u8>, SinkError> {
    let refused = |what: String| SinkError::authorities(path, &what);
    let pem = read_file(&RealDisk, path, limits::CERTIFICATES_BYTES_MAX)
        .map_err(|error| refused(error.to_string()))?;
    if CertificateDer::pem_slice_iter(&pem).next().is_none() {
        return Err(refused("holds no certificate".into()));
    }
    Ok(pem)
}
