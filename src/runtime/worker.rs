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
use super::deadlines::{ConnectionProgress, Connections};
use super::drain::{DrainReport, drain};
use super::peer_limit::{ConnectionPermit, PeerLimit};
use super::proxy_header::ProxiedClient;
use super::shutdown::Shutdown;
use super::tls::Tls;
use crate::http::Api;
use crate::limits::LISTEN_BACKLOG;
use crate::runtime::http1::raw_response::{
    readable_by_all, too_many_connections, too_many_of_one_peer,
};
use crate::types::{AddressSource, ClientAddress, Network};

/// The pause after the process had no file descriptor or memory for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// One in so many consecutive failures is logged: one line a second.
const FAILURES_PER_LINE: u32 = 20;

/// Options of a worker. All workers have the same, except for the core.
#[derive(Clone)]
pub(super) struct WorkerOptions {
    /// The only core that the worker's thread runs on, if any.
    pub(super) core: Option<usize>,
    pub(super) connections_max: usize,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) peer_limit: Option<Arc<PeerLimit>>,
    pub(super) client_address: Arc<ClientAddress>,
    pub(super) idle_seconds: u32,
}

/// Serves on this thread until the shutdown, and drains.
pub(super) fn run(
    listener: std::net::TcpListener,
    options: WorkerOptions,
    make_api: impl FnOnce() -> Rc<Api>,
    shutdown: &Shutdown,
) -> io::Result<DrainReport> {
    if let Some(core) = options.core {
        pin_to(core);
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        let api = make_api();
        let connections = Rc::new(Connections::idle_for(options.idle_seconds));
        let acceptor = Acceptor {
            connections_max: options.connections_max,
            context: Rc::new(WorkerContext {
                protocol: connection::protocol(),
                tls: options.tls,
                peer_limit: options.peer_limit,
                client_address: options.client_address,
                api: Rc::clone(&api),
                connections: Rc::clone(&connections),
            }),
        };
        api.set_connections_max(options.connections_max);
        api.telemetry().runs_on(Handle::current().metrics());
        let (driven, ticking) = (Rc::clone(&api), Rc::clone(&connections));
        spawn_local(async move { driven.drive().await });
        spawn_local(async move { ticking.keep_ticking().await });
        tokio::select! {
            () = acceptor.accept(&listener) => {}
            () = shutdown.begun() => {}
        }
        api.start_draining();
        acceptor.close(listener).await;
        Ok(drain(&connections, shutdown).await)
    })
}

fn pin_to(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    if let Err(error) = sched_setaffinity(None, &cores) {
        tracing::warn!(%error, core, "the worker cannot be pinned to its core; it runs on any");
    }
}

/// Accepts the connections of one worker, or refuses those over a limit.
struct Acceptor {
    connections_max: usize,
    context: Rc<WorkerContext>,
}

/// The state that all connections of a worker share, behind one pointer because each of them holds it.
struct WorkerContext {
    protocol: http1::Builder,
    tls: Option<Arc<Tls>>,
    peer_limit: Option<Arc<PeerLimit>>,
    client_address: Arc<ClientAddress>,
    api: Rc<Api>,
    connections: Rc<Connections>,
}

impl Acceptor {
    /// Accepts connections until it is dropped.
    async fn accept(&self, listener: &TcpListener) {
        let mut failures = 0_u32;
        loop {
            match listener.accept().await {
                Ok((stream, address)) => {
                    failures = 0;
                    self.serve(stream, address.ip());
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    if failures.is_multiple_of(FAILURES_PER_LINE) {
                        tracing::error!(%error, "connections cannot be accepted; trying again in 50 ms");
                    }
                    failures += 1;
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Serves a connection with a task of its own, or refuses it when it is over a limit.
    fn serve(&self, mut stream: TcpStream, address: IpAddr) {
        let context = Rc::clone(&self.context);
        if context.connections.count() >= self.connections_max {
            context.api.telemetry().connection_refused();
            return context.refuse(&stream, too_many_connections());
        }
        let awaits_header = context.client_address.source == AddressSource::ProxyV2;
        if awaits_header && !context.client_address.trusts(address) {
            return context.api.telemetry().connection_unproxied(address);
        }
        let Ok(permit) = context.permit(&stream, address) else {
            return;
        };
        // It counts from here on, not only once its task begins: many more may be accepted until then.
        let open = context.connections.add(address);
        spawn_local(async move {
            context.api.telemetry().connection_accepted();
            let permit = match awaits_header {
                false => Ok(permit),
                // In a box, so that the tasks of all connections need no room for it.
                true => Box::pin(context.proxied(&mut stream, &open.progress)).await,
            };
            if let Ok(_permit) = permit {
                let WorkerContext {
                    protocol,
                    tls,
                    api,
                    connections,
                    ..
                } = &*context;
                connection::serve(stream, open, tls.as_deref(), protocol, api, connections).await;
            }
            context.api.telemetry().connection_closed();
        });
    }

    /// Closes the listener, and serves the connections that the kernel has completed already: closing the listener
    /// would reset them.
    async fn close(&self, listener: TcpListener) {
        if let Err(error) = self.accept_pending(listener) {
            tracing::error!(%error, "connections that were waiting in the backlog could not be accepted during the drain");
        }
        // Their tasks begin before the drain, so that requests which have arrived are answered.
        while !self.context.connections.all_begun() {
            yield_now().await;
        }
        yield_now().await;
    }

    /// Accepts the connections that the kernel has completed. It asks the kernel, because the runtime polls only now
    /// and then, and would leave some.
    fn accept_pending(&self, listener: TcpListener) -> io::Result<()> {
        let listener = listener.into_std()?;
        // So many may wait; later ones would delay the drain.
        for _ in 0..=LISTEN_BACKLOG {
            match listener.accept() {
                Ok((stream, address)) => {
                    stream.set_nonblocking(true)?;
                    self.serve(TcpStream::from_std(stream)?, address.ip());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A connection that is over the limit of its peer, or does not come from a proxy as it must. It is to be closed.
struct UnservedConnection;

impl WorkerContext {
    /// Counts a connection from `address` towards the limit of that peer, and refuses one over it. Connections of trusted
    /// proxies are those of many clients, and have no limit.
    fn permit(
        &self,
        stream: &TcpStream,
        address: IpAddr,
    ) -> Result<Option<ConnectionPermit>, UnservedConnection> {
        let Some(limit) = &self.peer_limit else {
            return Ok(None);
        };
        if self.client_address.trusts(address) {
            return Ok(None);
        }
        if let Some(permit) = limit.acquire(address) {
            return Ok(Some(permit));
        }
        let peer = Network::of(address).first_address();
        self.api.telemetry().connection_refused_of_peer(peer);
        self.refuse(stream, too_many_of_one_peer());
        Err(UnservedConnection)
    }

    /// Reads the PROXY header of a connection, and counts it towards the limit of the client that it names.
    async fn proxied(
        &self,
        stream: &mut TcpStream,
        progress: &ConnectionProgress,
    ) -> Result<Option<ConnectionPermit>, UnservedConnection> {
        let client = connection::read_proxy_header(stream, progress, &self.api).await;
        match client.ok_or(UnservedConnection)? {
            ProxiedClient::At(address) => {
                progress.peer.set_address(address);
                self.permit(stream, address)
            }
            ProxiedClient::Proxy => Ok(None),
            ProxiedClient::Unknown => {
                self.api.telemetry().client_unknown();
                Ok(None)
            }
        }
    }

    /// Closes a connection over a limit, with an answer unless the client expects TLS.
    fn refuse(&self, stream: &TcpStream, answer: Bytes) {
        if self.tls.is_none() {
            let answer = match self.api.is_open_to_all_origins() {
                true => readable_by_all(&answer),
                false => answer,
            };
            // A new socket has room for these few bytes. Sent directly: the runtime does not know yet that a socket
            // is writable which was accepted during the drain.
            let _ = SockRef::from(stream).send(&answer);
        }
    }
}

/// Whether only this connection failed, for example because the client left before it was accepted.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}
