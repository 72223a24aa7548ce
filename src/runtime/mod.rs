//! Workers: one pinned thread with its own runtime, listener and connections for every core.
//!
//! Nothing is shared between workers on the way of a request but the engine. The kernel spreads
//! connections over their listeners (`SO_REUSEPORT`), and a connection stays where it was accepted.

mod body;
mod connection;
mod deadlines;
mod drain;
pub mod http1;
mod io;
mod listener;
mod peer_limit;
pub mod proxy_header;
mod shutdown;
mod stream;
mod tls;
mod worker;

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity};
use socket2::Socket;

pub use self::connection::protocol;
pub use self::drain::DrainReport;
use self::peer_limit::PeerLimit;
pub use self::shutdown::Shutdown;
pub use self::tls::{Tls, TlsError, read_certificates};
use self::worker::WorkerOptions;
use crate::http::Api;
use crate::limits::{CONNECTIONS_PER_WORKER_MAX, OPEN_FILES_FEW, RESERVED_FILES};
use crate::types::ClientAddress;

/// An error that kept the server from starting, or ended it.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be bound or listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The configured address.
        address: SocketAddr,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A worker's thread or runtime could not be started.
    #[error("cannot start worker {worker}: {source}")]
    Start {
        /// The worker, counted from 0.
        worker: usize,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A worker's thread ended by a panic.
    #[error("worker {worker} ended by a panic")]
    Panicked {
        /// The worker, counted from 0.
        worker: usize,
    },
}

/// Options of the listener and its connections.
#[derive(Clone, Debug)]
pub struct ListenerOptions {
    /// The certificate and key for TLS; `None` for plain connections.
    pub tls: Option<Arc<Tls>>,
    /// Most connections of one peer at all workers; `None` for no limit.
    pub connections_per_peer: Option<NonZeroU32>,
    /// The rule by which the addresses of clients are found.
    pub client_address: Arc<ClientAddress>,
    /// Most seconds that a connection may be without a request.
    pub idle_seconds: u32,
}

impl ListenerOptions {
    /// The scheme of the server's address: `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "https",
            None => "http",
        }
    }
}

/// A bound address, with a socket for each worker. No client can connect yet.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    sockets: Vec<Socket>,
}

impl Server {
    /// Binds `address` for each of `workers` workers. Port 0 becomes one free port for all.
    ///
    /// # Errors
    /// [`ServeError::Bind`] when the address cannot be bound.
    pub fn bind(address: SocketAddr, workers: usize) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Bind { address, source };
        listener::check_free(address).map_err(failed)?;
        let mut sockets = vec![listener::bind(address).map_err(failed)?];
        let bound = sockets[0].local_addr().map_err(failed)?;
        let bound = bound.as_socket().unwrap_or(address);
        for _ in 1..workers {
            sockets.push(listener::bind(bound).map_err(failed)?);
        }
        let address = bound;
        Ok(Self { address, sockets })
    }

    fn listen(self) -> Result<Vec<TcpListener>, ServeError> {
        let listening = self.sockets.into_iter().map(listener::listen);
        let listening: std::io::Result<_> = listening.collect();
        listening.map_err(|source| ServeError::Bind {
            address: self.address,
            source,
        })
    }

    /// The address, with the port that was bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens, and starts the workers, which answer until `shutdown` begins. Each calls `make_api` on its own thread,
    /// inside its runtime, with its number counted from 0.
    ///
    /// # Errors
    /// [`ServeError::Start`] when a thread cannot be started; the workers that were are shut down.
    /// [`ServeError::Bind`] when another process listens by now.
    pub fn start<F>(
        self,
        options: ListenerOptions,
        make_api: F,
        shutdown: &Shutdown,
    ) -> Result<RunningServer, ServeError>
    where
        F: Fn(usize) -> Rc<Api> + Send + Sync + 'static,
    {
        let open_files_max = raise_open_files_limit();
        let listeners = self.listen()?;
        let connections_max = connections_max(open_files_max, listeners.len());
        warn_of_few_files(open_files_max, connections_max * listeners.len());
        let peer_limit = options.connections_per_peer.map(PeerLimit::new);
        let mut options = WorkerOptions {
            core: None,
            connections_max,
            tls: options.tls,
            peer_limit: peer_limit.map(Arc::new),
            client_address: options.client_address,
            idle_seconds: options.idle_seconds,
        };
        let (make_api, cores) = (Arc::new(make_api), usable_cores());
        let mut workers = Vec::with_capacity(listeners.len());
        for (index, listener) in listeners.into_iter().enumerate() {
            let (make_api, shutdown_seen) = (Arc::clone(&make_api), shutdown.clone());
            options.core = (!cores.is_empty()).then(|| cores[index % cores.len()]);
            let options = options.clone();
            let thread = thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || {
                    let served = worker::run(listener, options, || make_api(index), &shutdown_seen);
                    if served.is_err() {
                        // The kernel would go on handing connections to its listener.
                        shutdown_seen.begin();
                    }
                    served
                });
            match thread {
                Ok(thread) => workers.push(thread),
                Err(source) => {
                    shutdown.begin();
                    return Err(ServeError::Start {
                        worker: index,
                        source,
                    });
                }
            }
        }
        Ok(RunningServer { workers })
    }
}

/// The running workers.
#[derive(Debug)]
pub struct RunningServer {
    workers: Vec<JoinHandle<std::io::Result<DrainReport>>>,
}

impl RunningServer {
    /// Blocks until every worker has drained after the shutdown began.
    ///
    /// # Errors
    /// The first worker that could not start or panicked. All workers have ended by then.
    pub fn join(self) -> Result<DrainReport, ServeError> {
        let ends: Vec<_> = self.workers.into_iter().map(JoinHandle::join).collect();
        let mut report = DrainReport::default();
        for (worker, end) in ends.into_iter().enumerate() {
            let served = end.map_err(|_| ServeError::Panicked { worker })?;
            report += served.map_err(|source| ServeError::Start { worker, source })?;
        }
        Ok(report)
    }
}

/// Returns the cores that this process may use.
fn usable_cores() -> Vec<usize> {
    let Ok(usable) = sched_getaffinity(None) else {
        return Vec::new();
    };
    (0..CpuSet::MAX_CPU)
        .filter(|&core| usable.is_set(core))
        .collect()
}

/// Raises the limit of open files to the hard limit, and returns the limit that holds.
fn raise_open_files_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, current = limit.current, "the limit of open files cannot be raised");
            limit.current
        }
    };
    allowed.unwrap_or(u64::MAX)
}

fn warn_of_few_files(open_files_max: u64, connections: usize) {
    if open_files_max < OPEN_FILES_FEW {
        tracing::warn!(
            open_files_max,
            connections,
            "this process may have only {open_files_max} open files (RLIMIT_NOFILE): {connections} connections are \
             served at the same time, and all others get 503. Raise the limit: LimitNOFILE=262144 in the systemd \
             unit, ulimit -n, or --ulimit nofile of the container"
        );
    }
}

/// Returns the most connections of one worker: never so many that the journal could not open its next segment.
#[must_use]
pub fn connections_max(open_files_max: u64, workers: usize) -> usize {
    let for_connections = open_files_max.saturating_sub(RESERVED_FILES) / workers.max(1) as u64;
    usize::try_from(for_connections)
        .unwrap_or(usize::MAX)
        .clamp(1, CONNECTIONS_PER_WORKER_MAX)
}
