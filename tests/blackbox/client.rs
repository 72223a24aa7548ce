//! A small blocking HTTP/1.1 client that can also send what no client should.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use serde_json::Value;

use crate::server::PATIENCE;

#[path = "../contract/document.rs"]
pub mod document;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Answers are equal that were given at different times.
impl PartialEq for Answer {
    fn eq(&self, other: &Self) -> bool {
        let lasting = |answer: &Self| -> Vec<_> {
            let headers = answer.headers.iter();
            headers
                .filter(|(name, _)| name != "date")
                .cloned()
                .collect()
        };
        (self.status, &self.body) == (other.status, &other.body) && lasting(self) == lasting(other)
    }
}

impl Answer {
    /// The value of a header, which may come only once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self
            .headers
            .iter()
            .filter(|(given, _)| given.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} twice in {self:?}");
        value
    }

    /// Where the page behind this one of a list at `target` is.
    pub fn next(&self, target: &str) -> Option<String> {
        let link = self.header("link")?.strip_prefix('<');
        let link = link.and_then(|link| link.strip_suffix(">; rel=\"next\""));
        let query = link.expect("a link to the next page");
        assert!(query.starts_with('?'), "{query} leaves the prefix");
        let path = target.split('?').next().unwrap_or_default();
        Some(format!("{path}{query}"))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// A member of the JSON object that must be text.
    #[track_caller]
    pub fn member(&self, name: &str) -> String {
        let json = self.json();
        let text = json[name].as_str();
        text.unwrap_or_else(|| panic!("no {name} in {} {json}", self.status))
            .to_owned()
    }

    /// The code of a checkout.
    #[track_caller]
    pub fn code(&self) -> String {
        self.member("code")
    }

    /// The code of a checkout; a refusal has none.
    pub fn code_if_any(&self) -> Option<String> {
        self.json()["code"].as_str().map(str::to_owned)
    }

    /// The machine-readable name of an error.
    #[track_caller]
    pub fn error(&self) -> String {
        self.member("error")
    }

    /// The machine-readable name of an error; a success of a purchase has none.
    pub fn error_if_any(&self) -> Option<String> {
        self.json()["error"].as_str().map(str::to_owned)
    }

    /// Asserts that the answer is a 200, and returns it.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.text());
        self
    }

    /// Asserts that the answer is this error in the usual form, and returns it.
    #[track_caller]
    pub fn refused(self, status: u16, error: &str, word: &str) -> Self {
        let json = self.json();
        assert_eq!((self.status, &*self.error()), (status, error), "{json}");
        assert!(
            json.get("code").is_none() || error == "item_already_in_checkout",
            "{json}"
        );
        let message = json["message"].as_str().expect("a message");
        assert!(message.contains(word), "{message:?} without {word:?}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        let retry_after = self.header("retry-after").map(str::parse::<u64>);
        if status == 503 || error == "item_held" {
            assert!(matches!(retry_after, Some(Ok(1..))), "{self:?}");
        }
        self
    }

    /// Asserts that the answer is an error of exactly these parameters, and returns it.
    #[track_caller]
    pub fn invalid(self, fields: &[&str]) -> Self {
        let answer = self.refused(400, "validation_failed", "Validation failed");
        let json = answer.json();
        let errors = json["errors"].as_object().expect("errors by field");
        let mut named: Vec<_> = errors.keys().map(String::as_str).collect();
        let mut fields = fields.to_vec();
        named.sort_unstable();
        fields.sort_unstable();
        assert_eq!(named, fields, "{json}");
        let says_what = |wrong: &Value| wrong.as_str().is_some_and(|text| !text.is_empty());
        assert!(errors.values().all(says_what), "{json}");
        answer
    }

    /// Asserts that the document describes this answer to the request.
    #[track_caller]
    fn check(&self, method: &str, target: &str) {
        let received = document::ReceivedAnswer {
            status: self.status,
            content_type: self.header("content-type"),
            headers: &self.headers,
            body: &self.body,
        };
        let validated = document::validate(method, target, received);
        assert_eq!(validated, Ok(()), "{method} {target}: {self:?}");
    }

    fn closes(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// One connection, kept open between requests.
pub struct Client {
    addr: SocketAddr,
    stream: BufReader<TcpStream>,
    closed: bool,
    /// The token that is shown to administration, unless a request shows another one.
    token: Option<String>,
}

impl Client {
    pub fn connect(addr: SocketAddr) -> io::Result<Self> {
        Self::over(TcpStream::connect_timeout(&addr, PATIENCE)?, addr)
    }

    /// Speaks over `stream`, which leads to `addr`.
    pub fn over(stream: TcpStream, addr: SocketAddr) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            addr,
            stream: BufReader::new(stream),
            closed: false,
            token: None,
        })
    }

    /// Shows `token` to administration from now on.
    pub fn with_token(self, token: Option<String>) -> Self {
        Self { token, ..self }
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) -> io::Result<()> {
        self.stream.get_mut().shutdown(Shutdown::Write)
    }

    /// Everything that comes until the server closes. A reset is a close, too.
    pub fn read_to_close(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
            _ => Ok(bytes),
        }
    }

    /// Reads one answer to a request that was not `HEAD`.
    pub fn read(&mut self) -> io::Result<Answer> {
        self.read_answer(false)
    }

    /// The next chunk of a body whose head was read; `None` when it was the last one.
    pub fn read_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let length = self.read_line()?;
        let length = usize::from_str_radix(&length, 16)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, length))?;
        let mut chunk = vec![0; length];
        self.stream.read_exact(&mut chunk)?;
        match &*self.read_line()? {
            "" => Ok((length > 0).then_some(chunk)),
            line => Err(io::Error::new(io::ErrorKind::InvalidData, line)),
        }
    }

    fn read_answer(&mut self, only_head: bool) -> io::Result<Answer> {
        let broken = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let status_line = self.read_line()?;
        let status = status_line
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..5)?.parse().ok())
            .ok_or_else(|| broken(format!("status line {status_line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line
                .split_once(": ")
                .ok_or_else(|| broken(format!("header {line:?}")))?;
            headers.push((name.to_owned(), value.to_owned()));
        }
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
        };
        let length = answer.header("content-length").unwrap_or("0");
        let length = length
            .parse()
            .map_err(|_| broken(format!("length {length}")))?;
        if !only_head {
            answer.body.resize(length, 0);
            self.stream.read_exact(&mut answer.body)?;
        }
        self.closed = answer.closes();
        Ok(answer)
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        if line.pop() != Some('\n') || line.pop() != Some('\r') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line)
    }

    /// Sends a request and reads its answer, over a new connection if the server closed this one.
    pub fn try_send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        if self.closed {
            *self = Self::connect(self.addr)?.with_token(self.token.take());
        }
        let mut request = format!("{method} {target} HTTP/1.1\r\nhost: {}\r\n", self.addr);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        let shows_one = headers.iter().any(|(name, _)| *name == "Authorization");
        if let Some(token) = self
            .token
            .as_ref()
            .filter(|_| !shows_one && target.contains("/admin"))
        {
            request.push_str(&format!("authorization: Bearer {token}\r\n"));
        }
        if !body.is_empty() || method == "POST" {
            request.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let mut request = request.into_bytes();
        request.extend_from_slice(body);
        self.write(&request)?;
        let answer = self.read_answer(method == "HEAD")?;
        answer.check(method, target);
        Ok(answer)
    }

    /// Sends it, and asserts that it succeeds.
    #[track_caller]
    pub fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        self.try_send(method, target, headers, body)
            .unwrap_or_else(|error| panic!("{method} {target}: {error}"))
    }

    #[track_caller]
    pub fn get(&mut self, target: &str) -> Answer {
        self.send("GET", target, &[], b"")
    }

    #[track_caller]
    pub fn post(&mut self, target: &str) -> Answer {
        self.send("POST", target, &[], b"")
    }

    #[track_caller]
    pub fn checkout(&mut self, user: &str, item: &str) -> Answer {
        let target = format!("/checkout?user_id={}&id={}", escaped(user), escaped(item));
        self.post(&target)
    }

    /// Puts items into a user's checkout; its code.
    #[track_caller]
    pub fn choose(&mut self, user: &str, items: &[&str]) -> String {
        let mut codes = items
            .iter()
            .map(|item| self.checkout(user, item).ok().code());
        let code = codes.next().expect("at least one item");
        assert!(codes.all(|same| same == code), "one checkout, one code");
        code
    }

    #[track_caller]
    pub fn purchase(&mut self, code: &str) -> Answer {
        self.post(&format!("/purchase?code={}", escaped(code)))
    }

    #[track_caller]
    pub fn checkout_with_key(&mut self, user: &str, item: &str, key: &str) -> Answer {
        let target = format!("/checkout?user_id={}&id={}", escaped(user), escaped(item));
        self.send("POST", &target, &[("Idempotency-Key", key)], b"")
    }

    #[track_caller]
    pub fn purchase_with_key(&mut self, code: &str, key: &str) -> Answer {
        let target = format!("/purchase?code={}", escaped(code));
        self.send("POST", &target, &[("Idempotency-Key", key)], b"")
    }

    /// The id of the sale that is open, and the figure of its sold items.
    #[track_caller]
    pub fn active_sale(&mut self) -> (String, u64) {
        let sale = self.get("/sales/active").ok();
        let sold = sale.json()["items_sold"].as_u64().expect("a number");
        (sale.member("id"), sold)
    }
}

/// `text` with everything escaped that is not certainly harmless.
pub fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}
