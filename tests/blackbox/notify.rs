//! The messages to a service manager, over a real socket.

use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;

use crate::client::Client;
use crate::server::{PATIENCE, Place, Server};

/// The service manager's end of the socket.
struct Manager(UnixDatagram);

impl Manager {
    fn of(place: &mut Place) -> Self {
        let path = place.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        place.set("NOTIFY_SOCKET", path.to_str().expect("UTF-8"));
        Self(socket)
    }

    /// The next message that has `line` among its lines.
    fn hear(&self, line: &str) -> String {
        let mut bytes = [0; 4096];
        loop {
            let length = self.0.recv(&mut bytes).expect("a message in time");
            let message = String::from_utf8_lossy(&bytes[..length]);
            if message.lines().any(|it| it == line) {
                return message.into_owned();
            }
        }
    }
}

#[test]
fn a_service_manager_hears_of_the_whole_life() {
    let mut place = Place::new(&[("SALE_TOTAL_ITEMS", "10"), ("WATCHDOG_USEC", "2000000")]);
    let manager = Manager::of(&mut place);
    let mut server = Server::start_in(place);
    let ready = manager.hear("READY=1");
    assert!(ready.contains("STATUS=sale 1 is open until"), "{ready}");
    let mut client = Client::connect(server.addr()).expect("it is really ready");
    let code = client.choose("ada", &["ITM-1-0"]);
    client.purchase(&code).ok();
    drop(client);
    manager.hear("WATCHDOG=1");
    let later = manager.hear("WATCHDOG=1");
    assert!(later.contains("1 of 10 units sold"), "{later}");
    server.signal(Signal::TERM);
    manager.hear("STOPPING=1");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn without_a_watchdog_nobody_is_told_that_all_is_well() {
    let mut place = Place::new(&[]);
    let manager = Manager::of(&mut place);
    let mut server = Server::start_in(place);
    manager.hear("READY=1");
    server.signal(Signal::TERM);
    let mut bytes = [0; 4096];
    let length = manager.0.recv(&mut bytes).expect("a message in time");
    assert_eq!(&bytes[..length], b"STOPPING=1\nSTATUS=draining\n");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_service_manager_that_is_gone_is_no_reason_not_to_sell() {
    let mut place = Place::new(&[("SALE_TOTAL_ITEMS", "10")]);
    let path = place.path().join("nobody");
    place.set("NOTIFY_SOCKET", path.to_str().expect("UTF-8"));
    let mut server = Server::start_in(place);
    server.client().checkout("ada", "ITM-1-0").ok();
    assert_eq!(server.terminate().code(), Some(0));
    assert!(server.log().contains("the service manager cannot be told"));
}
