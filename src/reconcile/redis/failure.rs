//! What went wrong, in words that hold no address, no name and no value.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::reconcile::SinkError;

/// Returns the error of a call that finds a key of another program.
pub(super) fn wrong_type(key: &str, wanted: &str) -> SinkError {
    SinkError::Refused(format!("the key {key} is there and is no {wanted}"))
}

/// Returns the error of a stream of events that cannot be continued.
pub(super) fn events_ahead(key: &str) -> SinkError {
    SinkError::Refused(format!(
        "the stream {key} was given ids that are no records of this journal yet: somebody else has \
         added to it, or it follows another journal. `flashsale rebuild redis --yes` empties it"
    ))
}

/// Returns the error of a call that was denied a command.
pub(super) fn denied(command: &str) -> SinkError {
    SinkError::Refused(format!(
        "the user may not use {command}, which is needed, see docs/redis.md"
    ))
}

/// Why Redis did not run `command`, which only some ways to find it need.
pub(super) fn of_command(command: &str, error: &RedisError) -> SinkError {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::NoPerm) => denied(command),
        _ => of(error),
    }
}

/// Whether Redis let nobody in for want of the right password.
pub(super) fn is_rejection(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("WRONGPASS" | "NOAUTH"))
}

/// Returns whether no answer of Redis has come, not even one that refuses.
pub(super) fn is_no_answer(error: &RedisError) -> bool {
    use ErrorKind::{Io, Parse, UnexpectedReturnType};
    matches!(error.kind(), Io | Parse | UnexpectedReturnType)
}

/// Explains why a connection was not opened; the server there may be no Redis.
pub(super) fn of_connecting(error: &RedisError) -> SinkError {
    match error.kind() {
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
            unavailable("it answers, but not with the Redis protocol: another server listens there")
        }
        ErrorKind::Io if error.is_connection_dropped() && !error.is_connection_refusal() => {
            unavailable(
                "the connection was closed before there was an answer with the Redis protocol: another server may \
                 listen there, or a proxy without one behind it",
            )
        }
        _ => of(error),
    }
}

/// Why Redis did not do what it was asked. Of several commands that were sent together, the first that failed counts.
pub(super) fn of(error: &RedisError) -> SinkError {
    let errors = error.clone().into_server_errors();
    match errors.as_deref().and_then(<[_]>::first) {
        Some((_, first)) => of_one(&first.clone().into()),
        None => of_one(error),
    }
}

fn of_one(error: &RedisError) -> SinkError {
    match error.kind() {
        ErrorKind::Io => of_io(error),
        ErrorKind::AuthenticationFailed => refused("the password was rejected"),
        ErrorKind::Server(kind) => of_server(kind, error),
        ErrorKind::Extension => of_code(error.code().unwrap_or_default()),
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
            unavailable("it does not answer as Redis does")
        }
        ErrorKind::InvalidClientConfig => refused("the connection cannot be set up as configured"),
        _ => unavailable("the connection failed"),
    }
}

fn of_io(error: &RedisError) -> SinkError {
    // The texts of other crates, looked at because they have no kinds for these.
    let text = error.to_string();
    let has = |part: &str| text.contains(part);
    if error.is_connection_refusal() {
        unavailable("connection refused")
    } else if has("NotValidForName") || has("not valid for name") {
        refused("its certificate is for another host")
    } else if has("certificate") || has("UnknownIssuer") {
        refused("its certificate is not trusted")
    } else if has("lookup address") || has("no addresses") || has("resolve") {
        unavailable("host not found")
    } else if error.is_timeout() {
        unavailable("no answer in time")
    } else if has("corrupt message") || has("InvalidContentType") {
        refused("it does not speak TLS")
    } else if has("unreachable") {
        unavailable("network unreachable")
    } else if error.is_connection_dropped() {
        unavailable("the connection was closed")
    } else {
        unavailable("the connection failed")
    }
}

fn of_server(kind: ServerErrorKind, error: &RedisError) -> SinkError {
    let detail = error.detail().unwrap_or_default();
    match kind {
        ServerErrorKind::BusyLoading => unavailable("it is loading its data"),
        ServerErrorKind::ReadOnly => unavailable("it is a read-only replica"),
        ServerErrorKind::NoPerm => may_not(),
        ServerErrorKind::MasterDown => unavailable("it is a replica that has lost its primary"),
        ServerErrorKind::ClusterDown => unavailable("the cluster is down"),
        ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::TryAgain => {
            unavailable("another node of the cluster has the keys")
        }
        _ if detail.contains("WRONGTYPE") => wrong_type_somewhere(),
        // From inside of a script, where there is no code for it.
        _ if detail.contains("can't run this command")
            || detail.contains("can't access at least") =>
        {
            may_not()
        }
        _ if detail.contains("READONLY") => unavailable("it is a read-only replica"),
        _ if detail.contains("OOM") || detail.contains("maxmemory") => {
            unavailable("it is out of memory")
        }
        _ if detail.contains("DB index") => refused("it has no database of that number"),
        _ if detail.contains("unction not found") => unavailable("its functions are gone"),
        _ => unavailable("it answered with an error"),
    }
}

fn of_code(code: &str) -> SinkError {
    match code {
        "OOM" => unavailable("it is out of memory"),
        "MISCONF" => unavailable("it cannot save its data and takes no more"),
        "NOAUTH" => refused("it wants a password"),
        "WRONGPASS" => refused("the password was rejected"),
        "WRONGTYPE" => wrong_type_somewhere(),
        "NOREPLICAS" => unavailable("it lacks replicas and takes no more"),
        "BUSY" => unavailable("it is busy with somebody's script"),
        "DENIED" => refused("it answers only to its own machine"),
        _ => unavailable("it answered with an error"),
    }
}

fn wrong_type_somewhere() -> SinkError {
    refused(
        "a key of ours is of the wrong type: somebody else has written there. `flashsale rebuild redis --yes` \
         makes all of them anew",
    )
}

fn may_not() -> SinkError {
    refused("the user may not use a command or a key that is needed, see docs/redis.md")
}

fn unavailable(why: &str) -> SinkError {
    SinkError::Unavailable(why.to_owned())
}

fn refused(why: &str) -> SinkError {
    SinkError::Refused(why.to_owned())
}
