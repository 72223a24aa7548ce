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
mod peers;
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

pub use self::drain::DrainReport;
use self::peers::Peers;
pub use self::shutdown::Shutdown;
pub use self::tls::{Tls, TlsError, read_certificates};
use self::worker::Entrance;
use crate::http::Api;
use crate::limits::{CONNECTIONS_PER_WORKER_MAX, OPEN_FILES_FEW, RESERVED_FILES};

/// Why the server could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A worker's thread or runtime could not be made.
    #[error("cannot start worker {worker}: {source}")]
    Start {
        /// The worker, counted from 0.
        worker: usize,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A worker's thread ended by a panic.
    #[error("worker {worker} ended by a panic")]
    Panicked {
        /// The worker, counted from 0.
        worker: usize,
    },
}

/// Who is let in, and how.
#[derive(Clone, Debug)]
pub struct Admission {
    /// What connections are encrypted with; `None` when they are not.
    pub tls: Option<Arc<Tls>>,
    /// Connections that one peer may have at all workers; `None` for as many as it likes.
    pub connections_per_peer: Option<NonZeroU32>,
    /// Seconds that a connection may be without a request.
    pub idle_seconds: u32,
}

impl Admission {
    /// How the address of the server begins: `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "https",
            None => "http",
        }
    }
}

/// An address that is taken, with a socket per worker. Nobody can connect yet.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    sockets: Vec<Socket>,
}

impl Server {
    /// Takes `address` for each of `workers` workers. Port 0 becomes one free port for all.
    ///
    /// # Errors
    /// [`ServeError::Bind`] when the address cannot be had.
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

    /// The address that clients reach, with the port that was really bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens and starts the workers, which let in what `admission` says. Each calls `make_api` on its own
    /// thread, inside its runtime, with its
    /// number counted from 0; they answer until `shutdown` begins.
    ///
    /// # Errors
    /// [`ServeError::Start`] when a thread cannot be made; the workers that were are shut down.
    /// [`ServeError::Bind`] when somebody else listens by now.
    pub fn start<F>(
        self,
        admission: Admission,
        make_api: F,
        shutdown: &Shutdown,
    ) -> Result<Running, ServeError>
    where
        F: Fn(usize) -> Rc<Api> + Send + Sync + 'static,
    {
        let open_files_max = raise_open_files_limit();
        let listeners = self.listen()?;
        let connections_max = connections_max(open_files_max, listeners.len());
        warn_of_few_files(open_files_max, connections_max * listeners.len());
        let entrance = Entrance {
            tls: admission.tls,
            peers: admission
                .connections_per_peer
                .map(|max| Arc::new(Peers::new(max))),
            idle_seconds: admission.idle_seconds,
        };
        let (make_api, cores) = (Arc::new(make_api), usable_cores());
        let mut workers = Vec::with_capacity(listeners.len());
        for (index, listener) in listeners.into_iter().enumerate() {
            let (make_api, shutdown_seen) = (Arc::clone(&make_api), shutdown.clone());
            let entrance = entrance.clone();
            let core = (!cores.is_empty()).then(|| cores[index % cores.len()]);
            let thread = thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || {
                    let served = worker::run(
                        listener,
                        core,
                        connections_max,
                        entrance,
                        || make_api(index),
                        &shutdown_seen,
                    );
                    if served.is_err() {
                        // Better no server than one that drops a part of its connections.
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
        Ok(Running { workers })
    }
}

/// Workers that answer.
#[derive(Debug)]
pub struct Running {
    workers: Vec<JoinHandle<std::io::Result<DrainReport>>>,
}

impl Running {
    /// Blocks until every worker has drained after the shutdown began.
    ///
    /// # Errors
    /// The first worker that could not start or panicked; all others have ended by then too.
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

/// The cores that this process may use.
fn usable_cores() -> Vec<usize> {
    let Ok(usable) = sched_getaffinity(None) else {
        return Vec::new();
    };
    (0..CpuSet::MAX_CPU)
        .filter(|&core| usable.is_set(core))
        .collect()
}

/// Allows as many open files as the operating system lets this process have; how many those are.
fn raise_open_files_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, current = limit.current, "the limit of open files stays as it is");
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

/// The most connections of one worker: never so many that the journal could not open its next segment.
#[must_use]
pub fn connections_max(open_files_max: u64, workers: usize) -> usize {
    let for_connections = open_files_max.saturating_sub(RESERVED_FILES) / workers.max(1) as u64;
    usize::try_from(for_connections)
        .unwrap_or(usize::MAX)
        .clamp(1, CONNECTIONS_PER_WORKER_MAX)
}
