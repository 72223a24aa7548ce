//! The floor: hyper with the server's own runtime set-up and options, answering a constant. Whatever
//! the server costs beyond this is its own doing.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::thread;

use bytes::Bytes;
use flashsale::limits::{HEAD_BYTES_MAX, HEADERS_MAX, LISTEN_BACKLOG};
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::spawn_local;

/// What an answer to a checkout has, for whoever looks at it.
const CODE: &str = r#""code":"CHK-1-00000000000000000000000000000000""#;
/// What an answer to a purchase has.
const RECEIPT: &str = r#""purchased_items":[{"id":"ITM-1-0","sold":true}],"total_purchased":1"#;

/// Answers every request with the same 200.
#[derive(clap::Args)]
pub struct Arguments {
    /// Where to listen; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:18090")]
    address: SocketAddr,
    /// Length of the answer's body; as long as that of an accepted checkout by default
    #[arg(long, default_value_t = 99, value_parser = clap::value_parser!(u32).range(1..=65536))]
    body_bytes: u32,
}

/// Serves for ever; says where, on standard output.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot serve on {}: {error}", arguments.address);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<()> {
    raise_open_files_limit();
    let body = Bytes::from(body(arguments.body_bytes as usize));
    let usable = sched_getaffinity(None)?;
    let cores = (0..CpuSet::MAX_CPU).filter(|&core| usable.is_set(core));
    let mut address = arguments.address;
    let mut workers = Vec::new();
    for core in cores {
        let (listener, body) = (bind(address)?, body.clone());
        // The first one has chosen the port for all.
        address = listener.local_addr()?;
        workers.push(thread::spawn(move || serve(listener, core, body)));
    }
    println!("bare hyper on http://{address}");
    for worker in workers {
        worker.join().expect("a worker does not panic")?;
    }
    Ok(())
}

/// An answer to every request, of exactly `length` bytes: JSON with a code and a receipt, as far as
/// there is room for them.
#[must_use]
pub fn body(length: usize) -> String {
    let mut text = String::from("{");
    for part in [CODE, RECEIPT] {
        if text.len() + part.len() + r#","":""}"#.len() <= length {
            text.push_str(part);
            text.push(',');
        }
    }
    let padding = length.saturating_sub(text.len() + r#""":""}"#.len());
    text.push_str(&format!(r#""":"{}"}}"#, "0".repeat(padding)));
    text.truncate(length);
    text
}

fn serve(listener: TcpListener, core: usize, body: Bytes) -> io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores)?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let protocol = protocol();
        loop {
            let (stream, _) = listener.accept().await?;
            let (protocol, body) = (protocol.clone(), body.clone());
            spawn_local(async move {
                let service = service_fn(|request| answer(request, body.clone()));
                // A client that leaves is no failure.
                let _ = protocol
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    })
}

/// As the server speaks.
fn protocol() -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .half_close(true)
        .writev(false)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .header_read_timeout(None);
    protocol
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

/// Allows this process as many open files as it may have; how many those are.
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

async fn answer(_: Request<Incoming>, body: Bytes) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_as_long_as_asked_for() {
        for length in [1, 40, 56, 99, 125, 500] {
            assert_eq!(body(length).len(), length);
        }
    }

    #[test]
    fn the_body_is_what_there_is_room_for() {
        let json =
            |length| -> serde_json::Value { serde_json::from_str(&body(length)).expect("JSON") };
        let (short, long) = (json(56), json(125));
        assert!(
            short["code"]
                .as_str()
                .is_some_and(|code| code.starts_with("CHK-1-"))
        );
        assert_eq!(short["total_purchased"], serde_json::Value::Null);
        assert_eq!(long["code"], short["code"]);
        assert_eq!(long["total_purchased"], 1);
    }
}
