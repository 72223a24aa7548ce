//! The pages for people who open the address in a browser: the sale at `/`, operations at `/ops`.
//!
//! Both work without anything from elsewhere: [`assets`] are in the binary, too.

mod assets;
mod document;
mod sale;

use std::sync::LazyLock;

use hyper::Uri;
use hyper::header::{HeaderMap, HeaderValue};

use self::assets::linked;
use super::Api;
use super::answer::Answer;
use super::parameters::{Field, Parameters};
use super::problem::Problem;

pub(super) use self::assets::asset;
pub(super) use self::document::{CHECKED_EACH_TIME, Document, version};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// What is on sale, and how to buy it.
pub(super) fn sale_page(api: &Api, uri: &Uri, headers: &HeaderMap) -> Result<Answer, Problem> {
    static FRAME: LazyLock<String> = LazyLock::new(|| linked(include_str!("page.html")));
    let mut parameters = Parameters::from_query(uri.query());
    let asked = parameters.chosen(Field::SaleId);
    parameters.check()?;
    html(sale::fill(&FRAME, api, asked, headers), headers)
}

/// What operators look at.
pub(super) fn ops_page(headers: &HeaderMap) -> Result<Answer, Problem> {
    static PAGE: LazyLock<String> = LazyLock::new(|| linked(include_str!("ops.html")));
    html(PAGE.clone(), headers)
}

fn html(text: String, headers: &HeaderMap) -> Result<Answer, Problem> {
    let document = Document {
        content_type: HTML,
        version: &version(text.as_bytes()),
        body: text.into(),
        cache_control: CHECKED_EACH_TIME,
    };
    document.into_answer(headers)
}

#[cfg(test)]
mod tests {
    use crate::telemetry::Outcome;

    /// Whether `POST /checkout` or `POST /purchase` may answer so, and it is not a success.
    fn refuses_buyers(outcome: Outcome) -> bool {
        match outcome {
            Outcome::ValidationFailed
            | Outcome::ItemNotFound
            | Outcome::SaleNotActive
            | Outcome::UserLimitExceeded
            | Outcome::ItemAlreadyInCheckout
            | Outcome::ItemSoldOut
            | Outcome::ItemHeld
            | Outcome::CheckoutNotFound
            | Outcome::AllItemsSold
            | Outcome::IdempotencyKeyReused
            | Outcome::CheckoutExpired
            | Outcome::AlreadyProcessed
            | Outcome::MethodNotAllowed
            | Outcome::PayloadTooLarge
            | Outcome::UnsupportedMediaType
            | Outcome::Overloaded
            | Outcome::Draining
            | Outcome::JournalUnavailable
            | Outcome::ArchiveUnavailable
            | Outcome::InternalError => true,
            Outcome::Ok
            | Outcome::Accepted
            | Outcome::Sold
            | Outcome::Replayed
            | Outcome::Created
            | Outcome::SaleNotFound
            | Outcome::TooManySales
            | Outcome::Unauthorized
            | Outcome::TooManyFailures
            | Outcome::NotFound => false,
        }
    }

    /// The codes of answers to what is not a request, as their source has them.
    fn codes_of_refused() -> Vec<&'static str> {
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
        let refused = codes_of_refused();
        assert!(refused.contains(&"uri_too_long"), "{refused:?}");
        for code in refusals.chain(refused) {
            assert!(words.contains(&format!("\n  {code}: [")), "{code}");
        }
    }
}
