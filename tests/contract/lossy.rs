//! A proxy between a shop and the server that loses the answers to confirmations of payments, which are recorded all the same.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// What a shop gets in place of the first answers: the end of the connection, and two of a proxy that has lost its server.
const INSTEAD: [&str; 3] = [
    "",
    "HTTP/1.1 504 Gateway Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 52\r\n\r\n\
     {\"message\":\"Too many requests\",\"error\":\"overloaded\"}",
];

/// The proxy.
pub struct LossyProxy {
    addr: SocketAddr,
    confirmations: Arc<AtomicUsize>,
}

impl LossyProxy {
    /// Starts one in front of the server at `target`.
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let confirmations = Arc::new(AtomicUsize::new(0));
        let ours = Arc::clone(&confirmations);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if let Ok(server) = TcpStream::connect(target) {
                    forward(client, server, &ours);
                }
            }
        });
        Self {
            addr,
            confirmations,
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Whether answers were lost in each way, and one came through behind them.
    pub fn has_lost(&self) -> bool {
        self.confirmations.load(Ordering::SeqCst) > INSTEAD.len()
    }
}

fn forward(client: TcpStream, server: TcpStream, confirmations: &Arc<AtomicUsize>) {
    let clone = |stream: &TcpStream| stream.try_clone().expect("a socket");
    let (from_client, to_server) = (clone(&client), clone(&server));
    let confirms = Arc::new(AtomicBool::new(false));
    let (asked, confirmations) = (Arc::clone(&confirms), Arc::clone(confirmations));
    thread::spawn(move || forward_requests(from_client, to_server, &asked));
    thread::spawn(move || forward_answers(server, client, &confirms, &confirmations));
}

fn forward_requests(mut client: TcpStream, mut server: TcpStream, confirms: &AtomicBool) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(read @ 1..) = client.read(&mut buffer) {
        let request = String::from_utf8_lossy(&buffer[..read]);
        let target = request.lines().next().unwrap_or_default();
        let confirmation = target.starts_with("POST /admin/") && target.contains("/confirm");
        confirms.store(confirmation, Ordering::SeqCst);
        if server.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    close(&client, &server);
}

fn forward_answers(
    mut server: TcpStream,
    mut client: TcpStream,
    confirms: &AtomicBool,
    confirmations: &AtomicUsize,
) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(read @ 1..) = server.read(&mut buffer) {
        if confirms.swap(false, Ordering::SeqCst) {
            let before = confirmations.fetch_add(1, Ordering::SeqCst);
            if let Some(instead) = INSTEAD.get(before) {
                let _ = client.write_all(instead.as_bytes());
                break;
            }
        }
        if client.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    close(&client, &server);
}

fn close(client: &TcpStream, server: &TcpStream) {
    for stream in [client, server] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}
