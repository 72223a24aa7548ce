//! A connection that outlives servers.

use std::io;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;

use crate::client::{Answer, Client};
use crate::server::wait_for;
use crate::soak::shared::Shared;

/// A sale as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub sale: u32,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    pub total: u64,
    pub sold: u64,
    pub active: bool,
}

impl Shown {
    pub fn of(json: &serde_json::Value) -> Self {
        let text = |name: &str| json[name].as_str().expect("text");
        let time = |name: &str| text(name).parse().expect("a time");
        let number = |name: &str| json[name].as_u64().expect("a number");
        Self {
            sale: text("id").parse().expect("a number"),
            started_at: time("started_at"),
            ended_at: time("ended_at"),
            total: number("total_items"),
            sold: number("items_sold"),
            active: json["active"].as_bool().expect("true or false"),
        }
    }
}

/// A connection to whichever server there is.
pub struct Link<'a> {
    pub shared: &'a Shared,
    client: Option<Client>,
}

impl<'a> Link<'a> {
    pub fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            client: None,
        }
    }

    fn client(&mut self) -> io::Result<&mut Client> {
        if self.client.is_none() {
            let address = *self.shared.address.lock().expect("no panic");
            let address = address.ok_or(io::ErrorKind::NotConnected)?;
            self.client = Some(Client::connect(address)?);
        }
        Ok(self.client.as_mut().expect("just connected"))
    }

    /// Sends a request; an error when the server dies over it, or is not there.
    pub fn try_send(
        &mut self,
        method: &str,
        target: &str,
        key: Option<&str>,
    ) -> io::Result<Answer> {
        let key = key.map(|key| ("Idempotency-Key", key));
        let sent = self
            .client()
            .and_then(|client| client.try_send(method, target, key.as_slice(), b""));
        match &sent {
            Ok(_) => self.shared.beat(),
            Err(_) => {
                self.client = None;
                thread::sleep(Duration::from_millis(5));
            }
        }
        sent
    }

    pub fn try_purchase(&mut self, code: &str, key: Option<&str>) -> io::Result<Answer> {
        self.try_send("POST", &format!("/purchase?code={code}"), key)
    }

    /// Sends a request that may be sent any number of times, until there is an answer.
    pub fn ask(&mut self, method: &str, target: &str, key: Option<&str>) -> Answer {
        wait_for(target, || self.try_send(method, target, key).ok())
    }

    pub fn get(&mut self, target: &str) -> Answer {
        self.ask("GET", target, None)
    }

    pub fn purchase(&mut self, code: &str, key: Option<&str>) -> Answer {
        self.ask("POST", &format!("/purchase?code={code}"), key)
    }

    pub fn sale(&mut self, sale: u32) -> Shown {
        Shown::of(&self.get(&format!("/sales/{sale}")).ok().json())
    }

    /// The sale that is open; `None` while there is none to be seen.
    pub fn active_sale(&mut self) -> Option<Shown> {
        let answer = self.try_send("GET", "/sales/active", None).ok()?;
        (answer.status == 200).then(|| Shown::of(&answer.json()))
    }
}
