//! What an error of the database means, in words that show neither addresses nor values.

use std::error::Error as _;
use std::io;

use rustls::CertificateError;
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::reconcile::SinkError;

/// What pgbouncer says of a transaction in statement mode.
const STATEMENT_MODE: &str = "not allowed in statement pooling mode";

/// The text for a connection that was closed while it was opened.
const SILENT: &str = "the connection was lost before there was an answer with the PostgreSQL protocol: another server may \
                      listen there, or a proxy without one behind it";
/// The text for bytes that are no message.
const FOREIGN: &str =
    "it answers, but not with the PostgreSQL protocol: another server listens there";

/// The error as whoever runs the server should read it. Of the database's own words only the code and
/// the first sentence are kept, the latter for the log alone, because it may name files and roles: details
/// and hints show values of rows.
pub(super) fn explain(error: &Error) -> SinkError {
    if let Some(error) = error.as_db_error() {
        return explain_database(error);
    }
    if error.is_closed() {
        return unavailable("the connection was lost");
    }
    let source = error.source();
    if let Some(error) = source.and_then(|source| source.downcast_ref::<io::Error>()) {
        return explain_io(error);
    }
    // No source of the remaining kinds names an address or a value.
    let why = source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    match why.as_str() {
        "error performing TLS handshake: server does not support TLS" => {
            unavailable("sslmode asks for encryption, but the server offers none")
        }
        "invalid configuration: password missing" => {
            unavailable("the server asks for a password, but none is configured")
        }
        _ => SinkError::Unavailable(why),
    }
}

/// Explains an error of a connection that is being opened, as [`explain`] does; the server there may be no PostgreSQL.
pub(super) fn explain_connecting(error: &Error) -> SinkError {
    let source = error.source();
    match source.and_then(|source| source.downcast_ref::<io::Error>()) {
        _ if error.is_closed() => unavailable(SILENT),
        // What the library makes of bytes that are no message has these kinds.
        Some(io)
            if io
                .get_ref()
                .is_none_or(|inner| !inner.is::<rustls::Error>()) =>
        {
            match io.kind() {
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof => unavailable(SILENT),
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => unavailable(FOREIGN),
                io::ErrorKind::Other if io.to_string() == "bytes remaining on stream" => {
                    unavailable(FOREIGN)
                }
                _ => explain(error),
            }
        }
        None if error
            .to_string()
            .starts_with("unexpected message from server") =>
        {
            unavailable(FOREIGN)
        }
        _ => explain(error),
    }
}

/// Returns the error of a server that does not answer for so many seconds while a connection is opened.
pub(super) fn no_answer(seconds: u64) -> SinkError {
    SinkError::Unavailable(format!(
        "no answer with the PostgreSQL protocol within {seconds} s"
    ))
}

fn unavailable(why: &str) -> SinkError {
    SinkError::Unavailable(why.to_owned())
}

fn explain_io(error: &io::Error) -> SinkError {
    let inner = error.get_ref();
    if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return explain_tls(error);
    }
    unavailable(match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::TimedOut => "the connection timed out",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "host unreachable",
        io::ErrorKind::NotFound => "connection refused: there is no such socket",
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => "the connection was lost",
        // The client's own word for a server that is asked for changes.
        io::ErrorKind::PermissionDenied if error.to_string().contains("allow writes") => {
            "it is a standby, and none of the servers takes changes"
        }
        // What the resolver says has no kind of its own.
        _ if error.to_string().contains("lookup address") => "host not found",
        kind => return SinkError::Unavailable(format!("the connection failed: {kind}")),
    })
}

/// In our own words, because some of theirs name the host.
fn explain_tls(error: &rustls::Error) -> SinkError {
    let rustls::Error::InvalidCertificate(certificate) = error else {
        return unavailable("encryption could not be agreed upon");
    };
    let why = match certificate {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "no trusted authority has signed it (sslrootcert)"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another host name"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet"
        }
        _ => "it is not acceptable",
    };
    SinkError::Unavailable(format!("the server's certificate is not trusted: {why}"))
}

fn explain_database(error: &DbError) -> SinkError {
    let code = error.code();
    let hidden = |why: &str| format!("{why} ({})", code.code());
    let said = |why: &str, lasts| SinkError::Redacted {
        internal: format!("{why} ({}: {})", code.code(), error.message()),
        public: hidden(why),
        permanent: lasts,
    };
    let passing = |why: &str| said(why, false);
    let lasting = |why: &str| said(why, true);
    if error.message().contains(STATEMENT_MODE) {
        return SinkError::Refused(
            "a pooler stands before the database that allows no transactions (pgbouncer's pool_mode = \
             statement), and rows and watermark change in one: let it use pool_mode = transaction or \
             session for this database, or connect to the database itself"
                .into(),
        );
    }
    match *code {
        // The first sentence of these names addresses and users, which are not for the log either.
        SqlState::INVALID_PASSWORD => SinkError::Unavailable(hidden("password rejected")),
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => SinkError::Unavailable(hidden(
            "the server does not let this user in: see its pg_hba.conf, and sslmode",
        )),
        SqlState::INVALID_CATALOG_NAME => {
            SinkError::Unavailable(hidden("there is no such database"))
        }
        SqlState::UNIQUE_VIOLATION => {
            lasting("the database already holds rows behind its watermark; run `flashsale verify`")
        }
        SqlState::CHECK_VIOLATION if error.constraint() == Some("never_oversold") => lasting(
            "more would be sold than there is: the database is not what the journal made of it; \
             run `flashsale verify`",
        ),
        SqlState::UNDEFINED_TABLE | SqlState::UNDEFINED_COLUMN | SqlState::UNDEFINED_FUNCTION => {
            lasting("the schema is not what the migrations make; see `flashsale migrate status`")
        }
        SqlState::INSUFFICIENT_PRIVILEGE => lasting("the user's rights do not suffice"),
        SqlState::READ_ONLY_SQL_TRANSACTION => passing("the database is read-only"),
        SqlState::DISK_FULL => passing("the database's disk is full"),
        SqlState::TOO_MANY_CONNECTIONS => passing("the database has no connection to spare"),
        SqlState::LOCK_NOT_AVAILABLE => passing("somebody holds a lock for too long"),
        SqlState::QUERY_CANCELED => passing("it took too long, or was cancelled"),
        _ => match &code.code()[..2] {
            "57" => passing("the database is shutting down or starting up"),
            "53" => passing("the database is short of something"),
            "22" | "23" | "42" => lasting("the database refuses what the journal holds"),
            _ => passing("the database failed"),
        },
    }
}
