//! One worker: a pinned thread with its own runtime that accepts and serves connections.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use rustix::thread::{CpuSet, sched_setaffinity};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::connection;
use super::deadlines::Connections;
use super::drain::{DrainReport, drain};
use super::shutdown::Shutdown;
use crate::http::Api;

/// How long to wait when the process has no file descriptor or memory for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// One in so many failures in a row is logged: a line a second.
const FAILURES_PER_LINE: u32 = 20;

/// The answer to a connection that is one too many.
const TOO_MANY_CONNECTIONS: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
content-type: application/json\r\n\
content-length: 63\r\n\
retry-after: 1\r\n\
connection: close\r\n\r\n\
{\"message\":\"Too many connections are open\",\"code\":\"overloaded\"}";

/// Serves until the shutdown, on this thread and, when there is one, on `core` only.
pub(super) fn run(
    listener: std::net::TcpListener,
    core: Option<usize>,
    connections_max: usize,
    make_api: impl FnOnce() -> Rc<Api>,
    shutdown: &Shutdown,
) -> io::Result<DrainReport> {
    if let Some(core) = core {
        pin_to(core);
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        let (api, connections) = (make_api(), Rc::new(Connections::default()));
        let (driven, ticking) = (Rc::clone(&api), Rc::clone(&connections));
        spawn_local(async move { driven.drive().await });
        spawn_local(async move { ticking.keep_ticking().await });
        tokio::select! {
            () = accept(&listener, &api, &connections, connections_max) => {}
            () = shutdown.begun() => {}
        }
        api.start_draining();
        take_in_backlog(&listener, &api, &connections, connections_max).await;
        drop(listener);
        Ok(drain(&connections).await)
    })
}

fn pin_to(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    if let Err(error) = sched_setaffinity(None, &cores) {
        tracing::warn!(%error, core, "the worker is not pinned to its core");
    }
}

/// Accepts connections for ever, each served by its own task.
async fn accept(
    listener: &TcpListener,
    api: &Rc<Api>,
    connections: &Rc<Connections>,
    connections_max: usize,
) {
    let protocol = Rc::new(connection::protocol());
    let mut failures = 0_u32;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => {
                failures = 0;
                stream
            }
            Err(error) if concerns_one_connection(&error) => continue,
            Err(error) => {
                if failures.is_multiple_of(FAILURES_PER_LINE) {
                    tracing::error!(%error, "connections cannot be accepted");
                }
                failures += 1;
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        take_in(stream, &protocol, api, connections, connections_max);
    }
}

/// Serves a connection with a task of its own, or refuses it when there are too many.
fn take_in(
    stream: TcpStream,
    protocol: &Rc<http1::Builder>,
    api: &Rc<Api>,
    connections: &Rc<Connections>,
    connections_max: usize,
) {
    if connections.count() >= connections_max {
        api.telemetry().connection_refused();
        refuse(&stream);
        return;
    }
    let (protocol, api) = (Rc::clone(protocol), Rc::clone(api));
    let connections = Rc::clone(connections);
    spawn_local(async move {
        api.telemetry().connection_accepted();
        connection::serve(stream, &protocol, &api, &connections).await;
        api.telemetry().connection_closed();
    });
}

/// Takes in the connections that the kernel has completed already: closing the listener would reset
/// them.
async fn take_in_backlog(
    listener: &TcpListener,
    api: &Rc<Api>,
    connections: &Rc<Connections>,
    connections_max: usize,
) {
    let protocol = Rc::new(connection::protocol());
    poll_fn(|cx| {
        while let Poll::Ready(Ok((stream, _))) = listener.poll_accept(cx) {
            take_in(stream, &protocol, api, connections, connections_max);
        }
        Poll::Ready(())
    })
    .await;
    // Their tasks begin, and are counted, before the drain looks at them.
    tokio::task::yield_now().await;
}

/// The client left before it was accepted; the next one is fine.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

fn refuse(stream: &TcpStream) {
    // A new socket has room for these few bytes; if not, closing it says enough.
    let _ = stream.try_write(TOO_MANY_CONNECTIONS);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::RETRY_AFTER_SECONDS;

    #[test]
    fn the_static_refusal_is_well_formed() {
        let text = std::str::from_utf8(TOO_MANY_CONNECTIONS).expect("ASCII");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
        assert!(head.contains(&format!("retry-after: {RETRY_AFTER_SECONDS}\r\n")));
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
    }
}
