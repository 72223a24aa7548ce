//! The pages for people who open the address in a browser: the sale at `/`, operations at `/ops`.
//!
//! Both need nothing from other servers: [`assets`] are in the binary, too.

mod assets;
mod sale;

use std::sync::LazyLock;

use hyper::header::{HeaderMap, HeaderValue};

use self::assets::linked;
use super::answer::{Answer, REVALIDATED};
use super::browser_file::{BrowserFile, version};
use super::parameters::{Field, Parameters};
use super::problem::Problem;
use super::routes::RoutedRequest;

pub(super) use self::assets::{asset, favicon};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// `GET /`: the page of a sale.
pub(super) fn sale_page(request: &RoutedRequest<'_>) -> Result<Answer, Problem> {
    static FRAME: LazyLock<String> = LazyLock::new(|| linked(include_str!("page.html")));
    let mut parameters = Parameters::from_query(request.query());
    let asked = parameters.chosen(Field::SaleId);
    parameters.check()?;
    let headers = &request.head.headers;
    html(sale::fill(&FRAME, request.api, asked, headers), headers)
}

/// `GET /ops`: the page of operations.
pub(super) fn ops_page(request: &RoutedRequest<'_>) -> Result<Answer, Problem> {
    static PAGE: LazyLock<String> = LazyLock::new(|| linked(include_str!("ops.html")));
    html(PAGE.clone(), &request.head.headers)
}

fn html(text: String, headers: &HeaderMap) -> Result<Answer, Problem> {
    let file = BrowserFile {
        content_type: HTML,
        version: &version(text.as_bytes()),
        body: text.into(),
        cache_control: REVALIDATED,
    };
    file.into_answer(headers)
}

#[cfg(test)]
mod tests {
    use crate::telemetry::Outcome;

    /// Whether `outcome` is an error of `POST /checkout` or `POST /purchase`.
    fn refuses_buyers(outcome: Outcome) -> bool {
        match outcome {
            Outcome::ValidationFailed
            | Outcome::ItemNotFound
            | Outcome::SaleNotActive
            | Outcome::SalePaused
            | Outcome::UserLimitExceeded
            | Outcome::ItemLimitExceeded
            | Outcome::ItemAlreadyInCheckout
            | Outcome::ItemSoldOut
            | Outcome::ItemHeld
            | Outcome::CheckoutNotFound
            | Outcome::AllItemsSold
            | Outcome::IdempotencyKeyReused
            | Outcome::CheckoutExpired
            | Outcome::ItemNotInCheckout
            | Outcome::PaymentUnderWay
            | Outcome::PaymentNotOffered
            | Outcome::ShopConfirms
            | Outcome::Unauthorized
            | Outcome::UserMismatch
            | Outcome::NotInvited
            | Outcome::AlreadyProcessed
            | Outcome::MethodNotAllowed
            | Outcome::PayloadTooLarge
            | Outcome::UnsupportedMediaType
            | Outcome::RateLimited
            | Outcome::Overloaded
            | Outcome::Draining
            | Outcome::JournalUnavailable
            | Outcome::Standby
            | Outcome::ArchiveUnavailable
            | Outcome::InternalError => true,
            Outcome::Ok
            | Outcome::Accepted
            | Outcome::Sold
            | Outcome::Replayed
            | Outcome::Created
            | Outcome::SaleNotFound
            | Outcome::SaleClosed
            | Outcome::NotPurchased
            | Outcome::AlreadyCancelled
            | Outcome::ReferenceReused
            | Outcome::StockInUse
            | Outcome::TooManyStockChanges
            | Outcome::TooManySales
            | Outcome::EventsGone
            | Outcome::TooManyFailures
            | Outcome::NotLeader
            | Outcome::NotReplicated
            | Outcome::NotFound => false,
        }
    }

    /// The codes of raw responses, as their source has them.
    fn codes_of_raw_responses() -> Vec<&'static str> {
        let source = include_str!("../../runtime/http1/raw_response.rs");
        let source = source.split("#[cfg(test)]").next().expect("a first part");
        let texts = source.split('"').skip(1).step_by(2);
        let is_code = |text: &&str| {
            let is_word = |c: char| c.is_ascii_lowercase() || c == '_';
            !text.is_empty() && text.chars().all(is_word)
        };
        texts.filter(is_code).collect()
    }

    #[test]
    fn the_page_has_words_for_every_refusal() {
        let words = include_str!("words.js");
        let refusals = Outcome::ALL
            .iter()
            .filter(|outcome| refuses_buyers(**outcome));
        let refusals = refusals.map(|outcome| outcome.as_str());
        let refused = codes_of_raw_responses();
        assert!(refused.contains(&"uri_too_long"), "{refused:?}");
        for code in refusals.chain(refused) {
            assert!(words.contains(&format!("\n  {code}: [")), "{code}");
        }
    }
}
