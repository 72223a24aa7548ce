//! A few requests besides the load, one connection each: which sale there is, and what is sold of it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use flashsale::types::GeneratedItemId;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::LoadError;
use super::answer;
use super::plan::Sale;

/// Items of a page, when free ones are looked for: as many as the server gives.
const PAGE_ITEMS: u32 = flashsale::limits::PAGE_ITEMS_MAX;
/// The time that the server may take for one of these requests.
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
    sold: bool,
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
        self.ask("GET", path)?.parse(path)
    }

    /// Items of the sale that can be had now, at most `wanted`: from `first` on, then those before it.
    pub(super) fn free_items(
        self,
        sale: Sale,
        first: u32,
        wanted: u64,
    ) -> Result<Vec<u32>, LoadError> {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let first = first.min(sale.total_items);
        let mut free = Vec::new();
        for range in [first..sale.total_items, 0..first] {
            let mut cursor = Some(range.start);
            while let Some(start) = cursor.filter(|it| range.contains(it) && free.len() < wanted) {
                let (items, next) = self.free_page(sale.id, start)?;
                free.extend(items.into_iter().filter(|item| range.contains(item)));
                cursor = next;
            }
        }
        free.truncate(wanted);
        Ok(free)
    }

    /// Free items from `cursor` on, and the cursor of the next page.
    fn free_page(self, sale: u32, cursor: u32) -> Result<(Vec<u32>, Option<u32>), LoadError> {
        let path = format!("/sales/{sale}/items?available=true&limit={PAGE_ITEMS}&cursor={cursor}");
        let odd = |what: String| LoadError::Odd(format!("GET {path}"), what);
        let reply = self.ask("GET", &path)?;
        let items: Vec<ShownItem> = reply.parse(&path)?;
        let index = |item: &ShownItem| {
            let id = GeneratedItemId::parse(&item.id).filter(|id| id.sale.0 == sale);
            let id = id.ok_or_else(|| odd(format!("the item {:?}", item.id)))?;
            Ok(id.index.0)
        };
        let indexes = items.iter().map(index).collect::<Result<_, LoadError>>()?;
        let next = reply.next_cursor();
        match next.filter(|&next| next <= cursor) {
            Some(next) => Err(odd(format!("the cursor {next} for the next page"))),
            None => Ok((indexes, next)),
        }
    }

    /// Sells an item, if it is not sold yet.
    pub(super) fn sell_out(self, sale: u32, item: u32, user: &str) -> Result<(), LoadError> {
        let path = format!("/checkout?user_id={user}&id=ITM-{sale}-{item}");
        let reply = self.ask("POST", &path)?;
        match reply.status {
            200 => {
                let code = answer::string_after(&reply.body, b"\"code\":\"").unwrap_or_default();
                let code = String::from_utf8_lossy(code);
                let reply = self.ask("POST", &format!("/purchase?code={code}"))?;
                if !matches!(reply.status, 200 | 409) {
                    return Err(reply.odd("POST /purchase"));
                }
            }
            409 => {}
            _ => return Err(reply.odd("POST /checkout")),
        }
        Ok(())
    }

    /// Makes sure that an item of the sale is sold, and not only held by somebody.
    pub(super) fn check_sold(self, sale: u32, item: u32) -> Result<(), LoadError> {
        let shown = format!("/sales/{sale}/items?limit=1&cursor={item}");
        let items: Vec<ShownItem> = self.show(&shown)?;
        if items.first().is_some_and(|item| item.sold) {
            return Ok(());
        }
        Err(LoadError::Plan(format!(
            "ITM-{sale}-{item}, which everybody is to ask for, is not sold but held by somebody: \
             wait until the hold has run out"
        )))
    }

    fn ask(self, method: &str, path: &str) -> Result<Reply, LoadError> {
        let asked = self.try_to_ask(method, path);
        asked.map_err(|error| LoadError::Connect(self.address, error))
    }

    fn try_to_ask(self, method: &str, path: &str) -> io::Result<Reply> {
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
            Ok(Some(response)) if response.body.1 <= bytes.len() => {
                let (start, end) = response.body;
                Ok(Reply {
                    status: response.status,
                    head: String::from_utf8_lossy(&bytes[..start]).into_owned(),
                    body: bytes[start..end].to_vec(),
                })
            }
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the answer is not HTTP/1.1 with a length",
            )),
        }
    }
}

/// A whole answer.
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    /// Parses the JSON of a page.
    fn parse<T: DeserializeOwned>(&self, path: &str) -> Result<T, LoadError> {
        let asked = format!("GET {path}");
        if self.status != 200 {
            return Err(self.odd(&asked));
        }
        serde_json::from_slice(&self.body).map_err(|error| LoadError::Odd(asked, error.to_string()))
    }

    /// Returns where the next page begins, according to the link of the answer.
    fn next_cursor(&self) -> Option<u32> {
        let mut lines = self.head.lines();
        let is_link = |name: &str| name.eq_ignore_ascii_case("link");
        let link = lines.find_map(|line| line.split_once(':').filter(|(name, _)| is_link(name)))?;
        let (_, rest) = link.1.split_once("cursor=")?;
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        rest[..end].parse().ok()
    }

    fn odd(&self, asked: &str) -> LoadError {
        let body = String::from_utf8_lossy(&self.body);
        LoadError::Odd(asked.to_owned(), format!("status {}, {body}", self.status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_the_one_that_is_linked() {
        let reply = |head: &str| Reply {
            status: 200,
            head: head.to_owned(),
            body: Vec::new(),
        };
        let cases = [
            (
                "HTTP/1.1 200 OK\r\nLink: </sales/1/items?available=true&cursor=70>; rel=\"next\"\r\n\r\n",
                Some(70),
            ),
            (
                "HTTP/1.1 200 OK\r\nlink: <?cursor=7&limit=3>; rel=\"next\"\r\n\r\n",
                Some(7),
            ),
            ("HTTP/1.1 200 OK\r\nDate: x\r\n\r\n", None),
        ];
        for (head, expected) in cases {
            assert_eq!(reply(head).next_cursor(), expected, "{head}");
        }
    }
}
