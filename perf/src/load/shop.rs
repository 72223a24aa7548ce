//! A few requests besides the load, one connection each: which sale there is, and what is sold of it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::LoadError;
use super::answer;
use super::plan::Sale;

/// How long the server may take for one of these.
const PATIENCE: Duration = Duration::from_secs(10);

/// A sale as the server shows it.
#[derive(Deserialize)]
struct Shown {
    id: String,
    total_items: u32,
    items_sold: u32,
}

/// An item as the server shows it.
#[derive(Deserialize)]
struct ShownItem {
    id: String,
}

/// The server, to be asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shop {
    address: SocketAddr,
}

impl Shop {
    pub(super) fn at(address: SocketAddr) -> Self {
        Self { address }
    }

    /// The sale that is on.
    pub(super) fn active_sale(self) -> Result<Sale, LoadError> {
        self.sale_at("/sales/active")
    }

    /// The sale with this id as it is now.
    pub(super) fn sale(self, id: u32) -> Result<Sale, LoadError> {
        self.sale_at(&format!("/sales/{id}"))
    }

    /// Makes sure that the items of the sale are generated ones: others have ids and quantities that are
    /// not known here.
    pub(super) fn check_items(self, sale: u32) -> Result<(), LoadError> {
        let path = format!("/sales/{sale}/items?limit=1");
        let items: Vec<ShownItem> = self.show(&path)?;
        let first = items.first().map_or("", |item| item.id.as_str());
        if first == format!("ITM-{sale}-0") {
            return Ok(());
        }
        Err(LoadError::Plan(format!(
            "the items of sale {sale} are listed ones (the first is {first:?}), and only generated ones can \
             be asked for (ITM-{sale}-0 and so on): the active sale that started last must be one of the \
             rotation, or one that was created with \"total_items\" and without \"items\"; or --spawn a server"
        )))
    }

    fn sale_at(self, path: &str) -> Result<Sale, LoadError> {
        let shown: Shown = self.show(path)?;
        let Ok(id) = shown.id.parse() else {
            let what = format!("the id {:?}", shown.id);
            return Err(LoadError::Odd(format!("GET {path}"), what));
        };
        Ok(Sale {
            id,
            total_items: shown.total_items,
            items_sold: shown.items_sold,
        })
    }

    fn show<T: DeserializeOwned>(self, path: &str) -> Result<T, LoadError> {
        let odd = |what: String| LoadError::Odd(format!("GET {path}"), what);
        let (status, body) = self.ask("GET", path)?;
        if status != 200 {
            return Err(odd(format!(
                "status {status}, {}",
                String::from_utf8_lossy(&body)
            )));
        }
        serde_json::from_slice(&body).map_err(|error| odd(error.to_string()))
    }

    /// Sells an item, if it is not sold yet.
    pub(super) fn sell_out(self, sale: u32, item: u32, user: &str) -> Result<(), LoadError> {
        let path = format!("/checkout?user_id={user}&id=ITM-{sale}-{item}");
        let (status, body) = self.ask("POST", &path)?;
        let code = answer::string_after(&body, b"\"code\":\"").unwrap_or_default();
        let code = String::from_utf8_lossy(code);
        match status {
            200 => match self.ask("POST", &format!("/purchase?code={code}"))? {
                (200 | 409, _) => Ok(()),
                (status, _) => Err(LoadError::Odd(
                    "POST /purchase".into(),
                    format!("status {status}"),
                )),
            },
            409 => Ok(()),
            _ => Err(LoadError::Odd(
                "POST /checkout".into(),
                format!("status {status}, {code}"),
            )),
        }
    }

    fn ask(self, method: &str, path: &str) -> Result<(u16, Vec<u8>), LoadError> {
        let asked = self.try_to_ask(method, path);
        asked.map_err(|error| LoadError::Connect(self.address, error))
    }

    fn try_to_ask(self, method: &str, path: &str) -> io::Result<(u16, Vec<u8>)> {
        let mut socket = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.address
        );
        socket.write_all(head.as_bytes())?;
        let mut bytes = Vec::new();
        socket.read_to_end(&mut bytes)?;
        match answer::parse(&bytes) {
            Ok(Some(response)) if response.body.1 <= bytes.len() => Ok((
                response.status,
                bytes[response.body.0..response.body.1].to_vec(),
            )),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the answer is not HTTP/1.1 with a length",
            )),
        }
    }
}
