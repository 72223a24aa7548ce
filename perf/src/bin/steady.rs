//! Buyers who come at a steady rate, whether or not the server keeps up: each checks one item out and
//! purchases it. Prints one JSON line with the latencies: of all, and the 99th percentile of purchases
//! in each window of some seconds, whose median a single stall of the machine does not move.
//!
//! A buyer's latency counts from the moment at which they were due (Gil Tene's "coordinated omission"),
//! so that a server that stalls is not excused for those who had to wait to be asked.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Parser;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::spawn_local;
use tokio::time::sleep_until;

/// Buys at a steady rate.
#[derive(Clone, Parser)]
struct Arguments {
    /// The server
    #[arg(long, default_value = "127.0.0.1:8080")]
    address: SocketAddr,
    /// Buyers a second
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// Seconds
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Connections that the buyers share
    #[arg(long, default_value_t = 128)]
    connections: u32,
    /// The sale
    #[arg(long, default_value_t = 1)]
    sale: u32,
    /// The item of the first buyer; the next one takes the next
    #[arg(long, default_value_t = 0)]
    first_item: u32,
    /// Seconds of a window
    #[arg(long, default_value_t = 5)]
    window: u32,
    /// What the line is called
    #[arg(long, default_value = "steady")]
    label: String,
}

/// What all buyers have seen.
struct Seen {
    purchase_us: Histogram<u64>,
    buyer_us: Histogram<u64>,
    /// Of the purchases in the window that is running, and what the windows before it had.
    window_us: Histogram<u64>,
    window: u32,
    windows_p99_us: Vec<u64>,
    failed: u64,
}

struct Crowd {
    arguments: Arguments,
    next: Cell<u32>,
    begin: Instant,
    seen: RefCell<Seen>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    runtime.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let histogram = || Histogram::new_with_bounds(1, 600_000_000, 3);
    let seen = Seen {
        purchase_us: histogram()?,
        buyer_us: histogram()?,
        window_us: histogram()?,
        window: 0,
        windows_p99_us: Vec::new(),
        failed: 0,
    };
    let mut connections = Vec::new();
    for _ in 0..arguments.connections {
        connections.push(connect(arguments.address).await?);
    }
    let crowd = Rc::new(Crowd {
        arguments,
        next: Cell::new(0),
        begin: Instant::now(),
        seen: RefCell::new(seen),
    });
    let serve = |connection| spawn_local(Rc::clone(&crowd).serve(connection));
    let lanes: Vec<_> = connections.into_iter().map(serve).collect();
    for lane in lanes {
        lane.await?;
    }
    crowd.report();
    Ok(())
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Empty<Bytes>>, Box<dyn Error>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    spawn_local(connection);
    Ok(sender)
}

impl Crowd {
    /// Lets one buyer after the other use a connection.
    async fn serve(self: Rc<Self>, mut connection: SendRequest<Empty<Bytes>>) {
        let Arguments { rate, seconds, .. } = self.arguments;
        loop {
            let number = self.next.get();
            if number >= rate * seconds {
                return;
            }
            self.next.set(number + 1);
            let due = self.begin + Duration::from_secs_f64(f64::from(number) / f64::from(rate));
            sleep_until(due.into()).await;
            let bought = self.buy(&mut connection, number, due).await;
            if bought.is_err() {
                self.seen.borrow_mut().failed += 1;
            }
            if connection.is_closed() {
                match connect(self.arguments.address).await {
                    Ok(again) => connection = again,
                    Err(_) => return,
                }
            }
        }
    }

    async fn buy(
        &self,
        connection: &mut SendRequest<Empty<Bytes>>,
        number: u32,
        due: Instant,
    ) -> Result<(), Box<dyn Error>> {
        let Arguments {
            sale, first_item, ..
        } = self.arguments;
        let item = first_item + number;
        let path = format!("/checkout?user_id=u{item}&id=ITM-{sale}-{item}");
        let answer = post(connection, &path).await?;
        let text = std::str::from_utf8(&answer)?;
        let code = text.split('"').nth(3).ok_or("no code")?;
        let asked = Instant::now();
        post(connection, &format!("/purchase?code={code}")).await?;
        let window = number / (self.arguments.rate * self.arguments.window);
        let mut seen = self.seen.borrow_mut();
        seen.purchase(micros(asked), window);
        seen.buyer_us.saturating_record(micros(due));
        Ok(())
    }

    fn report(&self) {
        let mut seen = self.seen.borrow_mut();
        seen.end_window();
        let quantiles = |histogram: &Histogram<u64>| {
            let at = |q| histogram.value_at_quantile(q);
            format!(
                r#"{{"p50":{},"p90":{},"p99":{},"p999":{},"max":{}}}"#,
                at(0.5),
                at(0.9),
                at(0.99),
                at(0.999),
                histogram.max()
            )
        };
        println!(
            r#"{{"label":"{}","rate":{},"seconds":{},"bought":{},"failed":{},"purchase_us":{},"buyer_us":{},"windows_p99_us":{:?}}}"#,
            self.arguments.label,
            self.arguments.rate,
            self.arguments.seconds,
            seen.purchase_us.len(),
            seen.failed,
            quantiles(&seen.purchase_us),
            quantiles(&seen.buyer_us),
            seen.windows_p99_us,
        );
    }
}

impl Seen {
    fn purchase(&mut self, latency_us: u64, window: u32) {
        if window > self.window {
            self.end_window();
            self.window = window;
        }
        self.purchase_us.saturating_record(latency_us);
        self.window_us.saturating_record(latency_us);
    }

    fn end_window(&mut self) {
        self.windows_p99_us
            .push(self.window_us.value_at_quantile(0.99));
        self.window_us.reset();
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

async fn post(
    connection: &mut SendRequest<Empty<Bytes>>,
    path: &str,
) -> Result<Bytes, Box<dyn Error>> {
    connection.ready().await?;
    let request = Request::post(path)
        .header("host", "sale")
        .body(Empty::new())?;
    let answer = connection.send_request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    if status == StatusCode::OK {
        Ok(body)
    } else {
        Err(format!("status {status}").into())
    }
}
