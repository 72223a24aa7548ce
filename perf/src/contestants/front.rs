//! The interface of a shop whose decisions a database makes: `POST /checkout?user_id=&id=` and `POST /purchase?code=`
//! with the server's statuses and JSON.
//!
//! It does less than the server: a checkout is of one unit and has a code of its own, holds do not run out, and there is
//! one sale, whose items are `ITM-1-0` and so on, or the one with the id [`HOT_ITEM`]. So the designs behind it cost rather
//! less here than in a shop.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use bytes::Bytes;
use flashsale::env::{Clock, Entropy, OsEntropy, SystemClock};
use flashsale::types::{CheckoutCode, ItemId, SaleId, Timestamp, UserId};
use form_urlencoded::parse;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::http::Method;
use hyper::{Request, Response, StatusCode};

use super::bare::ok;
use super::workers::{self, Answer, Handler, Listen};

/// The sale that all items are of.
const SALE: SaleId = SaleId(1);
/// Seconds that the sale lasts.
const SALE_SECONDS: u32 = 31_536_000;
/// Seconds that a checkout says its unit is held.
const HOLD_SECONDS: u32 = 600;
/// The id of an item that is the only one of its sale.
pub const HOT_ITEM: &str = "HOT";

/// The items on sale, as the flags of a contestant.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct StockArguments {
    /// Items, each of which there is once; the single item HOT where there is one
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    items: u32,
    /// Units of the single item
    #[arg(long, default_value_t = 10_000)]
    units: u32,
    /// Units that one user may take
    #[arg(long, default_value_t = 10)]
    pub limit: u32,
}

impl StockArguments {
    /// Returns whether there is a single item.
    #[must_use]
    pub fn is_hot(&self) -> bool {
        self.items == 1
    }

    /// Returns all items, with their units.
    pub fn all(&self) -> impl Iterator<Item = (String, u32)> {
        let (is_hot, units) = (self.is_hot(), self.units);
        (0..self.items).map(move |index| match is_hot {
            true => (HOT_ITEM.to_owned(), units),
            false => (format!("ITM-{SALE}-{index}"), 1),
        })
    }
}

/// A decision on a checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckoutDecision {
    /// The unit is held under the code that was given.
    Accepted,
    /// There is no such item.
    ItemNotFound,
    /// The user has as many units as one may have.
    UserLimitExceeded,
    /// No unit is left.
    ItemSoldOut,
}

/// A decision on a purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PurchaseDecision {
    /// This item was sold.
    Sold(String),
    /// No checkout has the code.
    CheckoutNotFound,
    /// This item was sold before.
    AlreadyProcessed(String),
}

/// A database that decides, and keeps what it has decided.
pub trait ShopDatabase: 'static {
    /// Takes a unit of `item` for `user` and keeps it under `code`.
    fn checkout(
        &self,
        user: &str,
        item: &str,
        code: CheckoutCode,
    ) -> impl Future<Output = Result<CheckoutDecision>>;

    /// Sells what is kept under `code`.
    fn purchase(&self, code: CheckoutCode) -> impl Future<Output = Result<PurchaseDecision>>;
}

/// Serves a shop until SIGTERM as [`workers::command`] does. `make` connects the shop of each worker.
#[must_use]
pub fn command<S: ShopDatabase>(
    name: &str,
    listen: Listen,
    make: impl AsyncFn() -> Result<S> + Send + Sync + 'static,
) -> ExitCode {
    let ends_at = SystemClock::new().now().plus_seconds(SALE_SECONDS);
    workers::command(name, listen, async move || {
        let shop = make().await?;
        let clock = SystemClock::new();
        Ok(Front {
            shop,
            clock,
            ends_at,
        })
    })
}

struct Front<S> {
    shop: S,
    clock: SystemClock,
    ends_at: Timestamp,
}

impl<S: ShopDatabase> Handler for Front<S> {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, _) = request.into_parts();
        let query = head.uri.query().unwrap_or_default();
        match (head.method, head.uri.path()) {
            (Method::POST, "/checkout") => self.checkout(query).await,
            (Method::POST, "/purchase") => self.purchase(query).await,
            _ => refusal(StatusCode::NOT_FOUND, "not_found", "Not found", ""),
        }
    }
}

impl<S: ShopDatabase> Front<S> {
    async fn checkout(&self, query: &str) -> Answer {
        let (mut user, mut item) = (None, None);
        for (name, value) in parse(query.as_bytes()) {
            match &*name {
                "user_id" => user = Some(value),
                "id" | "item_id" => item = Some(value),
                _ => {}
            }
        }
        let user = user.filter(|user| UserId::new(user).is_ok());
        let item = item.filter(|item| ItemId::new(item).is_ok());
        let (Some(user), Some(item)) = (user, item) else {
            return invalid(
                r#""user_id":"is required","id":"is required","item_id":"is required""#,
            );
        };
        let code = CheckoutCode {
            sale: SALE,
            secret: OsEntropy.bits_128(),
        };
        match self.shop.checkout(&user, &item, code).await {
            Ok(CheckoutDecision::Accepted) => self.accepted(code),
            Ok(CheckoutDecision::ItemNotFound) => refusal(
                StatusCode::NOT_FOUND,
                "item_not_found",
                "Item not found",
                "",
            ),
            Ok(CheckoutDecision::UserLimitExceeded) => {
                let message = "The limit of items per user is reached";
                refusal(StatusCode::BAD_REQUEST, "user_limit_exceeded", message, "")
            }
            Ok(CheckoutDecision::ItemSoldOut) => {
                let message = "This item is sold out";
                refusal(StatusCode::CONFLICT, "item_sold_out", message, "")
            }
            Err(error) => unavailable(&error),
        }
    }

    async fn purchase(&self, query: &str) -> Answer {
        let code = parse(query.as_bytes()).find(|(name, _)| name == "code");
        let Some((_, code)) = code else {
            return invalid(r#""code":"is required""#);
        };
        // One that is written differently was never given.
        let decided = match code.parse() {
            Ok(code) => self.shop.purchase(code).await,
            Err(_) => Ok(PurchaseDecision::CheckoutNotFound),
        };
        match decided {
            Ok(PurchaseDecision::Sold(item)) => ok(receipt(&item).into()),
            Ok(PurchaseDecision::CheckoutNotFound) => {
                let message = "Checkout not found";
                refusal(StatusCode::NOT_FOUND, "checkout_not_found", message, "")
            }
            Ok(PurchaseDecision::AlreadyProcessed(item)) => {
                let members = format!(r#","result":{}"#, receipt(&item));
                let message = "This checkout was already processed";
                refusal(StatusCode::CONFLICT, "already_processed", message, &members)
            }
            Err(error) => unavailable(&error),
        }
    }

    fn accepted(&self, code: CheckoutCode) -> Answer {
        let (ends_at, held_until) = (self.ends_at, self.clock.now().plus_seconds(HOLD_SECONDS));
        let mut body = Vec::with_capacity(192);
        // Writing into memory cannot fail.
        let _ = write!(
            body,
            r#"{{"code":"{code}","items_count":1,"sale_ends_at":"{ends_at}","held_until":"{held_until}"}}"#
        );
        ok(Bytes::from(body))
    }
}

fn receipt(item: &str) -> String {
    let name = serde_json::Value::from(item);
    format!(
        r#"{{"success":true,"purchased_items":[{{"id":{name},"name":{name},"sold":true}}],"total_purchased":1,"failed_count":0}}"#
    )
}

fn invalid(errors: &str) -> Answer {
    let members = format!(r#","errors":{{{errors}}}"#);
    let status = StatusCode::BAD_REQUEST;
    refusal(status, "validation_failed", "Validation failed", &members)
}

fn unavailable(error: &anyhow::Error) -> Answer {
    eprintln!("error: {error:#}");
    let (status, message) = (
        StatusCode::SERVICE_UNAVAILABLE,
        "The database does not answer",
    );
    let mut answer = refusal(status, "overloaded", message, "");
    let headers = answer.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

fn refusal(status: StatusCode, error: &str, message: &str, members: &str) -> Answer {
    let body = format!(r#"{{"message":"{message}","error":"{error}"{members}}}"#);
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, json);
    answer
}
