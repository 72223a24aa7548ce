//! The server's runtime set-up, for every contestant: a pinned thread with a runtime of its own per core, a listener
//! each on the same port, and hyper with the server's options.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use flashsale::limits::LISTEN_BACKLOG;
use flashsale::runtime::{Tls, protocol};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

/// How long the requests that are being answered may take when a contestant is asked to end.
const DRAIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// An answer to a request.
pub type Answer = Response<Full<Bytes>>;

/// The part of a contestant that answers the requests of one worker.
pub trait Handler: 'static {
    /// Answers a request.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Answer>;
}

/// Where a contestant listens.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Listen {
    /// Where to listen; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:18090")]
    pub address: SocketAddr,
}

/// Serves on every core with a handler of its own until SIGTERM, then answers what has arrived. Prints
/// `<name> on http://<address>` once all handlers are made, or what went wrong.
#[must_use]
pub fn command<H: Handler>(
    name: &str,
    listen: Listen,
    make: impl AsyncFn() -> Result<H> + Send + Sync + 'static,
) -> ExitCode {
    command_over(name, listen, None, make)
}

/// Serves as [`command`] does, over TLS where there is a certificate, and prints `https` then.
#[must_use]
pub fn command_over<H: Handler>(
    name: &str,
    listen: Listen,
    tls: Option<Arc<Tls>>,
    make: impl AsyncFn() -> Result<H> + Send + Sync + 'static,
) -> ExitCode {
    let address = listen.address;
    match serve(name, address, tls, make) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {name} cannot serve on {address}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve<H: Handler>(
    name: &str,
    mut address: SocketAddr,
    tls: Option<Arc<Tls>>,
    make: impl AsyncFn() -> Result<H> + Send + Sync + 'static,
) -> Result<()> {
    raise_open_files_limit();
    let usable = sched_getaffinity(None)?;
    let cores = (0..CpuSet::MAX_CPU).filter(|&core| usable.is_set(core));
    let make = Arc::new(make);
    let (sender, stages) = channel();
    let mut workers = 0;
    for core in cores {
        let (listener, make, sender) = (bind(address)?, Arc::clone(&make), sender.clone());
        let tls = tls.clone();
        // The first one has chosen the port for all.
        address = listener.local_addr()?;
        workers += 1;
        // Not joined: where one cannot begin, the process ends without the others.
        thread::spawn(move || {
            let worked = work((listener, tls), core, &*make, &sender);
            let _ = sender.send(worked.map(|()| Stage::Ended));
        });
    }
    drop(sender);
    for stage in stages.iter().take(workers) {
        stage?;
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    println!("{name} on {scheme}://{address}");
    for stage in stages {
        stage?;
    }
    Ok(())
}

/// How far a worker is.
enum Stage {
    Serving,
    Ended,
}

fn work<H: Handler>(
    (listener, tls): (TcpListener, Option<Arc<Tls>>),
    core: usize,
    make: &impl AsyncFn() -> Result<H>,
    stages: &Sender<Result<Stage>>,
) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores)?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let mut term = signal(SignalKind::terminate())?;
        let worker = Rc::new(Worker {
            handler: make().await?,
            in_hand: Cell::new(0),
            is_draining: Cell::new(false),
        });
        let protocol = protocol();
        let _ = stages.send(Ok(Stage::Serving));
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => accepted?.0,
                _ = term.recv() => break,
            };
            let (protocol, worker) = (protocol.clone(), Rc::clone(&worker));
            match tls.clone() {
                None => drop(spawn_local(async move {
                    worker.converse(stream, &protocol).await;
                })),
                Some(tls) => drop(spawn_local(async move {
                    // A handshake that fails is the client's.
                    if let Ok(stream) = tls.acceptor().accept(stream).await {
                        worker.converse(stream, &protocol).await;
                    }
                })),
            }
        }
        drop(listener);
        worker.drain().await;
        Ok(())
    })
}

struct Worker<H> {
    handler: H,
    /// Requests that are being answered.
    in_hand: Cell<usize>,
    is_draining: Cell<bool>,
}

impl<H: Handler> Worker<H> {
    /// Answers the requests of a connection until it ends.
    async fn converse(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        protocol: &http1::Builder,
    ) {
        let service = service_fn(|request| self.answer(request));
        // A client that leaves is no failure.
        let _ = protocol
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Infallible> {
        let _in_hand = InHand::new(&self.in_hand);
        let mut answer = self.handler.answer(request).await;
        if self.is_draining.get() {
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(CONNECTION, close);
        }
        Ok(answer)
    }

    /// Waits until no request is being answered. Hyper writes an answer in the same poll in which it gets it.
    async fn drain(&self) {
        self.is_draining.set(true);
        let deadline = Instant::now() + DRAIN;
        while self.in_hand.get() > 0 && Instant::now() < deadline {
            sleep(LOOK_EVERY).await;
        }
    }
}

/// A request that is being answered, or was until its client left.
struct InHand<'a>(&'a Cell<usize>);

impl<'a> InHand<'a> {
    fn new(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // Accepted connections inherit it.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

/// Allows this process as many open files as it may have, and returns how many those are.
pub fn raise_open_files_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    allowed.unwrap_or(u64::MAX)
}
