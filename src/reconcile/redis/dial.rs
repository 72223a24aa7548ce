//! Opening a connection to one server: a Redis, a node of a cluster, or a sentinel.

use std::path::Path;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, RedisResult, TlsCertificates, Value,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};

use super::failure;
use super::options::{RedisOptions, SentinelOptions};
use crate::env::{RealDisk, Secret, read_file};
use crate::limits;
use crate::reconcile::SinkError;
use crate::types::ServerAddress;

/// How to connect to servers of one kind.
pub(super) struct RedisDial<'a> {
    /// The kind of server in log lines.
    kind: &'static str,
    user: Option<&'a str>,
    password: Option<&'a Secret>,
    db: u16,
    tls: bool,
    authorities: Option<&'a Path>,
    timeout: Duration,
}

/// Why a connection was not opened.
enum Unopened {
    /// The server let nobody in for want of the right password.
    Rejected(RedisError),
    Failed(SinkError),
}

impl<'a> RedisDial<'a> {
    /// To a Redis that is configured by its address.
    pub(super) fn server(options: &'a RedisOptions) -> Self {
        Self {
            kind: "Redis",
            user: options.user.as_deref(),
            password: options.password.as_ref(),
            db: options.db,
            tls: options.tls,
            authorities: options.authorities.as_deref(),
            timeout: Duration::from_secs(limits::SINK_CONNECT_SECONDS),
        }
    }

    /// To a Redis that sentinels or nodes of a cluster have named: it may be dead, and another one be named next.
    pub(super) fn node(options: &'a RedisOptions) -> Self {
        Self {
            timeout: Duration::from_secs(limits::REDIS_NODE_SECONDS),
            ..Self::server(options)
        }
    }

    /// To a sentinel, which has users and passwords of its own.
    pub(super) fn sentinel(options: &'a RedisOptions, sentinels: &'a SentinelOptions) -> Self {
        Self {
            kind: "Redis Sentinel",
            user: sentinels.user.as_deref(),
            password: sentinels.password.as_ref(),
            db: 0,
            ..Self::node(options)
        }
    }

    /// Connects, and looks for another password where the one that is known is rejected.
    ///
    /// # Errors
    /// Says why not.
    pub(super) async fn connect(
        &self,
        server: &ServerAddress,
    ) -> Result<MultiplexedConnection, SinkError> {
        let is_rejection = |why: &Unopened| matches!(why, Unopened::Rejected(_));
        let connected = match self.password {
            None => self.attempt(server, None).await,
            Some(password) => {
                let attempt = |password| self.attempt(server, Some(password));
                password.attempt(self.kind, is_rejection, attempt).await
            }
        };
        connected.map_err(|why| match why {
            Unopened::Rejected(error) => failure::of(&error),
            Unopened::Failed(error) => error,
        })
    }

    async fn attempt(
        &self,
        server: &ServerAddress,
        password: Option<SecretString>,
    ) -> Result<MultiplexedConnection, Unopened> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(Duration::from_secs(limits::REDIS_ANSWER_SECONDS)));
        let client = self.client(server, password).map_err(Unopened::Failed)?;
        let connected = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connected.await.map_err(|error| {
            if failure::is_rejection(&error) {
                Unopened::Rejected(error)
            } else {
                Unopened::Failed(failure::of_connecting(&error))
            }
        })?;
        // Without a password nothing was asked yet. Any answer of Redis will do, and the next command says more.
        let asked: RedisResult<Value> = redis::cmd("PING").query_async(&mut connection).await;
        match asked {
            Err(error) if failure::is_no_answer(&error) => {
                Err(Unopened::Failed(failure::of_connecting(&error)))
            }
            _ => Ok(connection),
        }
    }

    /// # Errors
    /// The connection cannot be set up as configured.
    fn client(
        &self,
        server: &ServerAddress,
        password: Option<SecretString>,
    ) -> Result<Client, SinkError> {
        let mut settings = RedisConnectionInfo::default()
            .set_db(i64::from(self.db))
            .set_skip_set_lib_name();
        if let Some(user) = self.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = password {
            settings = settings.set_password(password.expose_secret());
        }
        let (host, port) = (server.host.clone(), server.port);
        let address = if self.tls {
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
        let client = if self.tls {
            // Where somebody else has installed one already, that one is used.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let certificates = TlsCertificates {
                client_tls: None,
                root_cert: self.authorities.map(authorities).transpose()?,
            };
            Client::build_with_tls(info, certificates)
        } else {
            Client::open(info)
        };
        client
            .map_err(|_| SinkError::Refused("the connection cannot be set up as configured".into()))
    }
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
