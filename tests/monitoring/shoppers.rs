//! Clients who do a little of everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::client::Client;
use crate::server::Server;

/// Pages that shoppers request besides.
const PAGES: [&str; 7] = [
    "/",
    "/sales",
    "/sales/active",
    "/sales/1",
    "/sales/1/items?limit=3",
    "/health",
    "/nowhere",
];
/// Leaves room for the others on a small machine.
const PAUSE: Duration = Duration::from_millis(20);

/// Buys, is refused, asks again, leaves something unbought, and looks around.
pub fn journey(client: &mut Client, turn: usize) {
    let (user, item) = (format!("user-{turn}"), format!("ITM-1-{turn}"));
    let code = client.choose(&user, &[&item]);
    client.purchase_with_key(&code, "once").ok();
    client.purchase_with_key(&code, "once").ok();
    let refused = client.checkout("somebody-else", &item);
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert_eq!(client.purchase("CHK-1-nonsense").status, 404);
    if turn.is_multiple_of(3) {
        client.choose(
            &format!("waverer-{turn}"),
            &[&format!("ITM-1-{}", 5000 + turn)],
        );
    }
    client.get(PAGES[turn % PAGES.len()]);
}

/// Somebody who goes on until this is dropped.
pub struct Shopper {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Shopper {
    pub fn start(server: &Server) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut client, stopped) = (server.client(), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            for turn in (0..5000).take_while(|_| !stopped.load(Relaxed)) {
                journey(&mut client, turn);
                thread::sleep(PAUSE);
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Shopper {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        let failed = ended.is_some_and(|ended| ended.is_err());
        assert!(!failed || thread::panicking(), "a shopper was surprised");
    }
}
