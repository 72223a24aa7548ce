//! A server of a few lines, that answers as a test wants it.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use flashsale_perf::load::{Plan, Sale};

/// What comes back for a request line; nothing means that the connection ends.
pub type Answer = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Begins to answer; the threads end with their connections.
pub fn start(answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let answer: Arc<Answer> = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            thread::spawn(move || serve(&stream, &*answer));
        }
    });
    address
}

/// A short run on few connections against the stub at `address`, which cannot be asked for its sale.
pub fn plan(address: SocketAddr, millis: u64) -> Plan {
    Plan {
        sale: Some(Sale {
            id: 1,
            total_items: 1000,
            items_sold: 0,
        }),
        connections: 2,
        threads: 1,
        ..Plan::new(address, Duration::from_millis(millis))
    }
}

/// A whole response.
pub fn response(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An accepted checkout.
pub fn accepted() -> String {
    response(
        200,
        r#"{"code":"CHK-1-000102030405060708090a0b0c0d0e0f","items_count":1}"#,
    )
}

fn serve(stream: &TcpStream, answer: &Answer) {
    // What this small server writes must not wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    let mut request = None;
    while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
        if line == "\r\n" {
            let Some(bytes) = request.take().and_then(|request: String| answer(&request)) else {
                return;
            };
            let mut stream = stream;
            if stream.write_all(bytes.as_bytes()).is_err() {
                return;
            }
        } else if request.is_none() {
            request = Some(line.clone());
        }
        line.clear();
    }
}
