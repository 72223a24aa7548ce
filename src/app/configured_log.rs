//! The replicated log that is configured, whichever engine keeps it.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;

use super::log_dial::LogDial;
use crate::config::{DatabaseConfig, EtcdConfig, EtcdTls, LogKeeper, ReplicationConfig, TlsFiles};
use crate::env::{AuthoritiesError, read_authorities, read_chain, read_private_key};
use crate::reconcile::SinkError;
use crate::replication::ReplicatedLog;
use crate::replication::etcd::{EtcdLog, EtcdOptions};
use crate::replication::postgres::PostgresLog;
use crate::types::ServerAddress;

/// The protocol that is spoken inside the encryption.
const PROTOCOL: &[u8] = b"h2";

/// The reason why a log cannot even be asked.
#[derive(Debug, thiserror::Error)]
pub enum OpenLogError {
    /// A file that the settings of a Postgres name cannot be used.
    #[error(transparent)]
    Postgres(#[from] SinkError),
    /// The authorities that sign the certificates of an etcd cannot be read.
    #[error("replication.sslrootcert cannot be used: {0}")]
    Authorities(#[from] AuthoritiesError),
    /// The certificate that is shown to an etcd cannot be used.
    #[error("{0}")]
    Certificate(String),
    /// The operating system gives nothing to ask with.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Opens the log that is configured. Nobody is asked yet.
///
/// # Errors
/// A file that the settings name cannot be used.
pub fn open_log(settings: &ReplicationConfig) -> Result<Box<dyn ReplicatedLog>, OpenLogError> {
    Ok(match &settings.keeper {
        LogKeeper::Postgres {
            database,
            other_hosts,
        } => Box::new(open_postgres_log(database, other_hosts, &settings.log)?),
        LogKeeper::Etcd(etcd) => Box::new(open_etcd_log(etcd, &settings.log)?),
    })
}

/// Opens the log `name` in a Postgres, of which `others` are the servers behind the first.
///
/// # Errors
/// The authorities cannot be read.
pub fn open_postgres_log(
    database: &DatabaseConfig,
    others: &[ServerAddress],
    name: &str,
) -> Result<PostgresLog, OpenLogError> {
    let dial = LogDial::new(database, others)?;
    Ok(PostgresLog::new(Box::new(dial), name.to_owned())?)
}

/// Opens the log `name` in an etcd.
///
/// # Errors
/// The authorities, the certificate or its key cannot be read.
pub fn open_etcd_log(etcd: &EtcdConfig, name: &str) -> Result<EtcdLog, OpenLogError> {
    let tls = etcd.tls.as_ref().map(client_config).transpose()?;
    let options = EtcdOptions {
        members: etcd.members.clone(),
        user: etcd.user.clone().unwrap_or_default(),
        password: etcd.password.clone(),
        tls: tls.map(Arc::new),
    };
    Ok(EtcdLog::new(options, name)?)
}

fn client_config(tls: &EtcdTls) -> Result<ClientConfig, OpenLogError> {
    let roots = read_authorities(tls.sslrootcert.as_deref())?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| OpenLogError::Certificate(format!("TLS cannot be used: {error}")))?
        .with_root_certificates(roots);
    let mut config = match &tls.client {
        None => config.with_no_client_auth(),
        Some(TlsFiles { cert, key }) => {
            let chain = read_chain(cert).map_err(|error| unusable("sslcert", cert, &error))?;
            let private = read_private_key(key).map_err(|error| unusable("sslkey", key, &error))?;
            config
                .with_client_auth_cert(chain, private)
                .map_err(|error| unusable("sslcert", cert, &error))?
        }
    };
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(config)
}

fn unusable(key: &str, path: &Path, what: &dyn Display) -> OpenLogError {
    let path = path.display();
    OpenLogError::Certificate(format!("replication.{key} cannot be used: {path}: {what}"))
}
