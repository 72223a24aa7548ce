//! The floor: hyper with the server's own runtime set-up, answering a constant. Whatever the server
//! costs beyond this is its own doing.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::thread;

use bytes::Bytes;
use clap::Parser;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::spawn_local;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As long as the answer to an accepted checkout.
const BODY: &[u8] = br#"{"code":"CHK-1-00000000000000000000000000000000","items_count":1,"sale_ends_at":"2026-01-01T00:00:00Z"}"#;

/// Answers every request with the same 200.
#[derive(Parser)]
struct Arguments {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:18090")]
    address: SocketAddr,
}

fn main() -> io::Result<()> {
    let address = Arguments::parse().address;
    let usable = sched_getaffinity(None)?;
    let cores = (0..CpuSet::MAX_CPU).filter(|&core| usable.is_set(core));
    let workers: Vec<_> = cores
        .map(|core| thread::spawn(move || serve(address, core)))
        .collect();
    println!("bare hyper on http://{address}");
    for worker in workers {
        worker.join().expect("a worker does not panic")?;
    }
    Ok(())
}

fn serve(address: SocketAddr, core: usize) -> io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores)?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(bind(address)?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            spawn_local(async move {
                let service = service_fn(answer);
                let connection = http1::Builder::new()
                    .half_close(true)
                    .serve_connection(TokioIo::new(stream), service);
                // A client that leaves is no failure.
                let _ = connection.await;
            });
        }
    })
}

fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

async fn answer(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(BODY)));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
