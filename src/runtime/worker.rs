//! One worker: a pinned thread with its own runtime that accepts and serves connections.

use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1;
use rustix::thread::{CpuSet, sched_setaffinity};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle, LocalOptions};
use tokio::task::{spawn_local, yield_now};
use tokio::time::sleep;

use super::connection;
use super::deadlines::Connections;
use super::drain::{DrainReport, drain};
use super::peers::{Peers, peer_of};
use super::shutdown::Shutdown;
use super::tls::Tls;
use crate::http::Api;
use crate::limits::LISTEN_BACKLOG;
use crate::runtime::http1::raw_response::{
    readable_by_all, too_many_connections, too_many_of_one_peer,
};

/// How long to wait when the process has no file descriptor or memory for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// One in so many failures in a row is logged: a line a second.
const FAILURES_PER_LINE: u32 = 20;

/// Who is let in, and how; the same for every worker.
#[derive(Clone)]
pub(super) struct Entrance {
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) peers: Option<Arc<Peers>>,
    pub(super) idle_seconds: u32,
}

/// Serves until the shutdown, on this thread and, when there is one, on `core` only.
pub(super) fn run(
    listener: std::net::TcpListener,
    core: Option<usize>,
    connections_max: usize,
    entrance: Entrance,
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
        let api = make_api();
        let connections = Rc::new(Connections::idle_for(entrance.idle_seconds));
        let door = Door {
            connections_max,
            peers: entrance.peers,
            inside: Rc::new(Inside {
                protocol: connection::protocol(),
                tls: entrance.tls,
                api: Rc::clone(&api),
                connections: Rc::clone(&connections),
            }),
        };
        api.set_connections_max(connections_max);
        api.telemetry().runs_on(Handle::current().metrics());
        let (driven, ticking) = (Rc::clone(&api), Rc::clone(&connections));
        spawn_local(async move { driven.drive().await });
        spawn_local(async move { ticking.keep_ticking().await });
        tokio::select! {
            () = door.accept(&listener) => {}
            () = shutdown.begun() => {}
        }
        api.start_draining();
        door.close(listener).await;
        Ok(drain(&connections, shutdown).await)
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
    connections_max: usize,
    peers: Option<Arc<Peers>>,
    inside: Rc<Inside>,
}

/// What every connection of the worker needs: behind one pointer, because each of them has it.
struct Inside {
    protocol: http1::Builder,
    tls: Option<Arc<Tls>>,
    api: Rc<Api>,
    connections: Rc<Connections>,
}

impl Door {
    /// Accepts connections for ever.
    async fn accept(&self, listener: &TcpListener) {
        let mut failures = 0_u32;
        loop {
            match listener.accept().await {
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
        let inside = Rc::clone(&self.inside);
        if inside.connections.count() >= self.connections_max {
            inside.api.telemetry().connection_refused();
            return self.refuse(&stream, too_many_connections());
        }
        let visit = match &self.peers {
            None => None,
            Some(peers) => match peers.enter(address) {
                Some(visit) => Some(visit),
                None => {
                    let peer = peer_of(address);
                    inside.api.telemetry().connection_refused_of_peer(peer);
                    return self.refuse(&stream, too_many_of_one_peer());
                }
            },
        };
        // From here on, and not only once the task begins: that may take many more connections.
        let open = inside.connections.add(address);
        spawn_local(async move {
            let _visit = visit;
            let Inside {
                protocol,
                tls,
                api,
                connections,
            } = &*inside;
            api.telemetry().connection_accepted();
            connection::serve(stream, open, tls.as_deref(), protocol, api, connections).await;
            api.telemetry().connection_closed();
        });
    }

    /// Closes a connection, which is told why unless it expects an encrypted word.
    fn refuse(&self, stream: &TcpStream, answer: Bytes) {
        if self.inside.tls.is_none() {
            let answer = match self.inside.api.is_open_to_all_origins() {
                true => readable_by_all(&answer),
                false => answer,
            };
            // A new socket has room for these few bytes; if not, closing it says enough. Past the runtime,
            // which knows nothing yet of one that came in with the end.
            let _ = SockRef::from(stream).send(&answer);
        }
    }

    /// Lets nobody in any more, but for the connections that the kernel has completed already:
    /// closing the listener would reset them.
    async fn close(&self, listener: TcpListener) {
        if let Err(error) = self.empty(listener) {
            tracing::error!(%error, "connections that had just come in were not let in");
        }
        // Their tasks begin before the drain looks at them, and what they have sent already is seen.
        while !self.inside.connections.all_begun() {
            yield_now().await;
        }
        yield_now().await;
    }

    /// Takes in what the kernel has completed. Not with the runtime, which has some of that wait: it shares
    /// its time among tasks, and sees only now and then what has arrived.
    fn empty(&self, listener: TcpListener) -> io::Result<()> {
        let listener = listener.into_std()?;
        // So many may wait; who comes later would keep the drain from beginning.
        for _ in 0..=LISTEN_BACKLOG {
            match listener.accept() {
                Ok((stream, address)) => {
                    stream.set_nonblocking(true)?;
                    self.take_in(TcpStream::from_std(stream)?, address.ip());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
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
