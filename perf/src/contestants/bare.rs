//! Bare hyper: the server's own runtime set-up and options, answering a constant. Whatever the server costs beyond this
//! is its own doing.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use flashsale::env::SystemClock;
use flashsale::runtime::{Tls, TlsError};
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, body::Incoming};

use super::workers::{self, Answer, Handler, Listen};

/// What an answer to a checkout has, for whoever looks at it.
const CODE: &str = r#""code":"CHK-1-00000000000000000000000000000000""#;
/// What an answer to a purchase has.
const RECEIPT: &str = r#""purchased_items":[{"id":"ITM-1-0","sold":true}],"total_purchased":1"#;

/// The length of the body of an accepted checkout.
pub const CHECKOUT_BYTES: u32 = 99;

/// Answers every request with the same 200.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    listen: Listen,
    /// Length of the answer's body; as long as that of an accepted checkout by default
    #[arg(long, default_value_t = CHECKOUT_BYTES, value_parser = clap::value_parser!(u32).range(1..=65536))]
    body_bytes: u32,
    /// The certificate of TLS, in PEM [default: no TLS]
    #[arg(long, value_name = "PATH", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert
    #[arg(long, value_name = "PATH", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// Serves until SIGTERM; says where, on standard output.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    let body = Bytes::from(body(arguments.body_bytes as usize));
    let tls = match tls(arguments).transpose() {
        Ok(tls) => tls.map(Arc::new),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    workers::command_over("bare hyper", arguments.listen, tls, async move || {
        Ok(Constant(body.clone()))
    })
}

/// Reads the certificate as the server does; `None` where there is to be none.
fn tls(arguments: &Arguments) -> Option<Result<Tls, TlsError>> {
    let (cert, key) = arguments
        .tls_cert
        .as_ref()
        .zip(arguments.tls_key.as_ref())?;
    Some(Tls::load(cert, key, Arc::new(SystemClock::new())))
}

/// A handler that gives every request the same answer.
struct Constant(Bytes);

impl Handler for Constant {
    async fn answer(&self, _: Request<Incoming>) -> Answer {
        ok(self.0.clone())
    }
}

/// Returns a 200 with `body` as JSON.
#[must_use]
pub fn ok(body: Bytes) -> Answer {
    let mut response = Response::new(Full::new(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer to every request, of exactly `length` bytes: JSON with a code and a receipt, as far as
/// there is room for them.
#[must_use]
pub fn body(length: usize) -> String {
    let mut text = String::from("{");
    for part in [CODE, RECEIPT] {
        if text.len() + part.len() + r#","":""}"#.len() <= length {
            text.push_str(part);
            text.push(',');
        }
    }
    let padding = length.saturating_sub(text.len() + r#""":""}"#.len());
    text.push_str(&format!(r#""":"{}"}}"#, "0".repeat(padding)));
    text.truncate(length);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_as_long_as_asked_for() {
        for length in [1, 40, 56, 99, 125, 500] {
            assert_eq!(body(length).len(), length);
        }
    }

    #[test]
    fn the_body_is_what_there_is_room_for() {
        let json =
            |length| -> serde_json::Value { serde_json::from_str(&body(length)).expect("JSON") };
        let (short, long) = (json(56), json(125));
        assert!(
            short["code"]
                .as_str()
                .is_some_and(|code| code.starts_with("CHK-1-"))
        );
        assert_eq!(short["total_purchased"], serde_json::Value::Null);
        assert_eq!(long["code"], short["code"]);
        assert_eq!(long["total_purchased"], 1);
    }
}
