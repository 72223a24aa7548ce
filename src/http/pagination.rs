//! Pages of lists: how many entries a page has, and the link to the next one.

use std::fmt::Display;

use hyper::Uri;
use hyper::header::{HeaderValue, LINK};

use super::answer::{Answer, JSON};
use super::encoding::decode;
use super::parameters::{Field, Parameters};
use super::problem::Problem;
use super::values::{Whole, not_up_to};
use crate::limits::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};

/// Reads how many entries a page may have.
pub(super) fn page_limit(parameters: &mut Parameters<'_>) -> u32 {
    let limit = parameters
        .chosen(Field::Limit)
        .unwrap_or(Whole(PAGE_ITEMS_DEFAULT))
        .0;
    if !(1..=PAGE_ITEMS_MAX).contains(&limit) {
        parameters.wrong(Field::Limit, not_up_to(PAGE_ITEMS_MAX));
    }
    limit
}

/// Returns a page of a list. `next` is the cursor of the page after it, when there is one.
pub(super) fn page(
    body: Vec<u8>,
    uri: &Uri,
    next: Option<impl Display>,
) -> Result<Answer, Problem> {
    let answer = Answer::shown(JSON, body);
    match next {
        Some(next) => linked_to_next(answer, uri, "cursor", next),
        None => Ok(answer),
    }
}

/// Adds a link to the page after `answer`, at which the parameter `name` of `uri` has the value `next`.
///
/// It is a query alone: relative to the request, it stays below every prefix.
pub(super) fn linked_to_next(
    mut answer: Answer,
    uri: &Uri,
    name: &str,
    next: impl Display,
) -> Result<Answer, Problem> {
    let kept = uri.query().unwrap_or_default().split('&');
    let kept = kept.filter(|pair| !pair.is_empty() && !is_named(pair, name));
    let mut link = "<?".to_owned();
    for pair in kept {
        link.push_str(pair);
        link.push('&');
    }
    link.push_str(&format!("{name}={next}>; rel=\"next\""));
    let link = HeaderValue::try_from(link).map_err(|_| Problem::internal())?;
    answer.response.headers_mut().insert(LINK, link);
    Ok(answer)
}

/// Whether a pair of a query has this name, in whatever encoding.
fn is_named(pair: &str, name: &str) -> bool {
    let given = pair.split('=').next().unwrap_or_default();
    decode(given).is_ok_and(|given| given == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_keeps_the_other_parameters() {
        let uri = Uri::from_static("/api/v1/sales/2/items?cursor=5&available=true&limit=3");
        let answer = page(Vec::new(), &uri, Some(8)).expect("a page");
        let expected = "<?available=true&limit=3&cursor=8>; rel=\"next\"";
        assert_eq!(answer.response.headers()[LINK], expected);
        for written in ["/sales?%63ursor=1", "/sales?cursor", "/sales?cursor="] {
            let answer = page(Vec::new(), &Uri::from_static(written), Some(8)).expect("a page");
            let expected = "<?cursor=8>; rel=\"next\"";
            assert_eq!(answer.response.headers()[LINK], expected, "{written}");
        }
        let answer = page(Vec::new(), &uri, None::<u32>).expect("a page");
        assert!(!answer.response.headers().contains_key(LINK));
    }
}
