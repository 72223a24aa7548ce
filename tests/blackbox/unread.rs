//! A server whose log nobody reads: a pipe that is full must not stop it.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, ExitStatus, Stdio};
use std::thread;

use flashsale::limits::LOG_BYTES_MAX;
use rustix::process::{Pid, Signal, kill_process};

use crate::admin::{create, household};
use crate::client::Client;
use crate::server::{Place, listening_address, wait_for};

/// At least as many bytes as a line has.
const LINE_BYTES_MIN: usize = 100;

/// It does not outlive this.
struct Unread {
    child: Child,
    addr: SocketAddr,
    log: Option<BufReader<ChildStderr>>,
    place: Place,
}

impl Unread {
    /// Starts a server that says much, and reads its log only until it listens.
    fn start() -> Self {
        let place = Place::new(&[("SALE_TOTAL_ITEMS", "10"), ("LOG_LEVEL", "debug")]);
        let mut command = place.command(&["serve"]);
        let mut child = command.stdout(Stdio::null()).spawn().expect("it runs");
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let mut lines = log.by_ref().lines().map_while(Result::ok);
        let addr = lines.find_map(|line| listening_address(&line));
        Self {
            child,
            addr: addr.expect("the server listens"),
            log: Some(log),
            place,
        }
    }

    /// Has more lines written than the pipe and the bound of the server take.
    fn fill(&self) -> Client {
        let token = self.place.drawn_token();
        let mut client = Client::connect(self.addr)
            .expect("a connection")
            .with_token(token);
        for _ in 0..2 * LOG_BYTES_MAX / LINE_BYTES_MIN {
            client.get("/nowhere").refused(404, "not_found", "");
        }
        client
    }

    fn terminate(&mut self) -> ExitStatus {
        let id = i32::try_from(self.child.id()).expect("a process id");
        let _ = kill_process(Pid::from_raw(id).expect("not 0"), Signal::TERM);
        wait_for("the end", || self.child.try_wait().expect("a child"))
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_sells_and_answers_and_ends() {
    let mut server = Unread::start();
    let mut client = server.fill();
    assert_eq!(client.get("/health").ok().json()["conserved"], true);
    let sale = create(&mut client, &household());
    wait_for("the sale", || {
        let told = client.get(&format!("/sales/{sale}")).ok().json();
        (told["active"] == true).then_some(())
    });
    let code = client.choose("ada", &["chair"]);
    client.purchase(&code).ok();
    client.get("/metrics").ok();
    assert!(server.terminate().success());
}

#[test]
fn a_reader_that_comes_back_learns_how_many_lines_were_lost_and_how_it_ended() {
    let mut server = Unread::start();
    drop(server.fill());
    let log = server.log.take().expect("not taken yet");
    let reading = thread::spawn(move || std::io::read_to_string(log).expect("UTF-8"));
    assert!(server.terminate().success());
    let log = reading.join().expect("no panic");
    let end = &log[log.len() - log.len().min(4_096)..];
    assert!(log.contains("\"stopped\""), "{end}");
    assert!(log.contains("lines of the log were lost"), "{end}");
}
