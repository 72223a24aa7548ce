//! One worker: a pinned thread with its own runtime that accepts and serves connections.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
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
        let door = Door {
            listener,
            protocol: Rc::new(connection::protocol()),
            api: make_api(),
            connections: Rc::default(),
            connections_max,
        };
        let (api, connections) = (Rc::clone(&door.api), Rc::clone(&door.connections));
        api.set_connections_max(connections_max);
        let (driven, ticking) = (Rc::clone(&api), Rc::clone(&connections));
        spawn_local(async move { driven.drive().await });
        spawn_local(async move { ticking.keep_ticking().await });
        tokio::select! {
            () = door.accept() => {}
            () = shutdown.begun() => {}
        }
        api.start_draining();
        door.close().await;
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

/// Where connections come in.
struct Door {
    listener: TcpListener,
    protocol: Rc<http1::Builder>,
    api: Rc<Api>,
    connections: Rc<Connections>,
    connections_max: usize,
}

impl Door {
    /// Accepts connections for ever.
    async fn accept(&self) {
        let mut failures = 0_u32;
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    failures = 0;
                    self.take_in(stream, address.ip());
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    if failures.is_multiple_of(FAILURES_PER_LINE) {
                        tracing::error!(%error, "connections cannot be accepted");
                    }
                    failures += 1;
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Serves a connection with a task of its own, or refuses it when there are too many.
    fn take_in(&self, stream: TcpStream, address: IpAddr) {
        if self.connections.count() >= self.connections_max {
            self.api.telemetry().connection_refused();
            refuse(&stream);
            return;
        }
        let (protocol, api) = (Rc::clone(&self.protocol), Rc::clone(&self.api));
        let connections = Rc::clone(&self.connections);
        spawn_local(async move {
            api.telemetry().connection_accepted();
            connection::serve(stream, address, &protocol, &api, &connections).await;
            api.telemetry().connection_closed();
        });
    }

    /// Lets nobody in any more, but for the connections that the kernel has completed already:
    /// closing the listener would reset them.
    async fn close(self) {
        poll_fn(|cx| {
            while let Poll::Ready(Ok((stream, address))) = self.listener.poll_accept(cx) {
                self.take_in(stream, address.ip());
            }
            Poll::Ready(())
        })
        .await;
        // Their tasks begin, and are counted, before the drain looks at them.
        tokio::task::yield_now().await;
    }
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
