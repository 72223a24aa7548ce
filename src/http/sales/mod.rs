//! What is on sale: `/sales/active`, `/sales`, `/sales/{id}`, `/sales/{id}/items` and a single one of these.

pub(super) mod images;

use std::fmt::Display;
use std::str::FromStr;

use hyper::Uri;
use hyper::header::{HeaderValue, LINK};

use super::Api;
use super::answer::{Answer, JSON, write_number, write_string, write_time};
use super::buy::checkout::item_not_found;
use super::encoding::{decode, decode_segment};
use super::parameters::{Field, Parameters};
use super::problem::Problem;
use super::values::Whole;
use crate::limits::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};
use crate::sale::{ItemView, Overview, Sale, SaleStatus};
use crate::telemetry::Outcome;
use crate::types::{ItemId, ItemIndex, Malformed, SaleId};

/// Most items that one request looks at to fill its page; the next page goes on from there.
const SCANNED_ITEMS_MAX: u32 = 10 * PAGE_ITEMS_MAX;

/// The running sale that started last.
pub(in crate::http) fn active_sale(api: &Api) -> Result<Answer, Problem> {
    let message = "No active sale";
    let sale = api
        .engine
        .active_sale()
        .ok_or_else(|| Problem::missing(Outcome::SaleNotFound, message))?;
    let now = api.engine.clock().now();
    Ok(shown_sale(&Overview::of(&sale, now)))
}

/// One sale.
pub(in crate::http) fn sale(api: &Api, id: &str) -> Result<Answer, Problem> {
    let sale = api.engine.overview(sale_id(id)?);
    sale.map(|sale| shown_sale(&sale))
        .ok_or_else(Problem::sale_not_found)
}

fn shown_sale(sale: &Overview) -> Answer {
    let mut body = Vec::with_capacity(192);
    write_sale(sale, &mut body);
    Answer::shown(JSON, body)
}

/// All sales, or those with one status, newest first.
pub(in crate::http) fn sales(api: &Api, uri: &Uri) -> Result<Answer, Problem> {
    let mut parameters = Parameters::from_query(uri.query());
    let status: Option<Status> = parameters.chosen(Field::Status);
    let limit = page_limit(&mut parameters);
    let before: Option<SaleId> = parameters.chosen(Field::Cursor);
    parameters.check()?;

    let status = status.map(|Status(wanted)| wanted);
    // One more, which says whether there is a next page.
    let mut sales = api.engine.overviews(before, status, limit as usize + 1);
    let more = sales.len() > limit as usize;
    sales.truncate(limit as usize);
    let mut body = vec![b'['];
    for sale in &sales {
        separate(&mut body);
        write_sale(sale, &mut body);
    }
    body.push(b']');
    let next = sales.last().filter(|_| more);
    page(body, uri, next.map(|last| last.id.0))
}

/// Which items of which sale are wanted.
pub(in crate::http) struct Page {
    sale: SaleId,
    only_available: bool,
    start: u32,
    limit: u32,
}

impl Page {
    /// The page of items of the sale `id` that `uri` names.
    pub(in crate::http) fn of_items(id: &str, uri: &Uri) -> Result<Self, Problem> {
        let sale = sale_id(id)?;
        let mut parameters = Parameters::from_query(uri.query());
        let only_available = parameters
            .chosen(Field::Available)
            .is_some_and(|Flag(set)| set);
        let limit = page_limit(&mut parameters);
        let start = parameters.chosen(Field::Cursor).unwrap_or(Whole(0)).0;
        parameters.check()?;
        Ok(Self {
            sale,
            only_available,
            start,
            limit,
        })
    }

    /// The sale.
    pub(in crate::http) fn sale(&self) -> SaleId {
        self.sale
    }
}

/// The items of a sale, in their order.
pub(in crate::http) fn sale_items(
    sale: &Sale,
    wanted: &Page,
    uri: &Uri,
) -> Result<Answer, Problem> {
    let start = wanted.start;
    let end = sale
        .item_count()
        .min(start.saturating_add(SCANNED_ITEMS_MAX));
    let mut indexes = start..end;
    let items = indexes
        .by_ref()
        .filter_map(|index| sale.item_view(ItemIndex(index)))
        .filter(|item| !wanted.only_available || item.remaining > 0);
    let mut body = vec![b'['];
    for item in items.take(wanted.limit as usize) {
        separate(&mut body);
        write_item(&item, &mut body);
    }
    body.push(b']');
    let next = indexes.start;
    page(body, uri, (next < sale.item_count()).then_some(next))
}

/// One item of a sale. The end of the path names it, percent-encoded.
pub(in crate::http) fn sale_item(sale: &Sale, encoded: &str) -> Result<Answer, Problem> {
    let wrong = |Malformed(wrong)| Problem::validation(vec![("item_id".into(), wrong.into())]);
    let id = decode_segment(encoded).map_err(wrong)?;
    ItemId::new(&id).map_err(wrong)?;
    let item = sale.find_item(&id).and_then(|index| sale.item_view(index));
    let item = item.ok_or_else(item_not_found)?;
    let mut body = Vec::with_capacity(192);
    write_item(&item, &mut body);
    Ok(Answer::shown(JSON, body))
}

/// The number of the sale that a path names.
pub(in crate::http) fn sale_id(id: &str) -> Result<SaleId, Problem> {
    id.parse().map_err(|_| Problem::sale_not_found())
}

/// How many entries a page may have.
pub(in crate::http) fn page_limit(parameters: &mut Parameters<'_>) -> u32 {
    let limit = parameters
        .chosen(Field::Limit)
        .unwrap_or(Whole(PAGE_ITEMS_DEFAULT))
        .0;
    if !(1..=PAGE_ITEMS_MAX).contains(&limit) {
        parameters.wrong(Field::Limit, format!("must be 1 to {PAGE_ITEMS_MAX}"));
    }
    limit
}

/// A page of a list. `next` is the cursor of the page after it, when there is one.
///
/// The link to that one is a query alone: relative to the request, it stays below every prefix.
pub(in crate::http) fn page(
    body: Vec<u8>,
    uri: &Uri,
    next: Option<impl Display>,
) -> Result<Answer, Problem> {
    let mut answer = Answer::shown(JSON, body);
    if let Some(next) = next {
        let kept = uri.query().unwrap_or_default().split('&');
        let kept = kept.filter(|pair| !pair.is_empty() && !is_cursor(pair));
        let mut link = "<?".to_owned();
        for pair in kept {
            link.push_str(pair);
            link.push('&');
        }
        link.push_str(&format!("cursor={next}>; rel=\"next\""));
        let link = HeaderValue::try_from(link).map_err(|_| Problem::internal())?;
        answer.response.headers_mut().insert(LINK, link);
    }
    Ok(answer)
}

/// Whether a pair of a query has the name `cursor`, however that is written.
fn is_cursor(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    decode(name).is_ok_and(|name| name == "cursor")
}

/// Appends a comma, unless the list has just begun.
pub(in crate::http) fn separate(list: &mut Vec<u8>) {
    if list.len() > 1 {
        list.push(b',');
    }
}

/// Appends a sale as it is shown.
pub(in crate::http) fn write_sale(sale: &Overview, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":\"");
    write_number(sale.id.0, out);
    out.extend_from_slice(b"\",\"started_at\":\"");
    write_time(sale.started_at, out);
    out.extend_from_slice(b"\",\"ended_at\":\"");
    write_time(sale.ended_at, out);
    out.extend_from_slice(b"\",\"total_items\":");
    write_number(sale.total, out);
    out.extend_from_slice(b",\"items_sold\":");
    write_number(sale.sold, out);
    out.extend_from_slice(if sale.status == SaleStatus::Active {
        b",\"active\":true"
    } else {
        b",\"active\":false"
    });
    out.extend_from_slice(b",\"max_items_per_user\":");
    write_number(sale.max_items_per_user, out);
    out.extend_from_slice(b",\"hold_seconds\":");
    write_number(sale.hold_seconds, out);
    out.push(b'}');
}

fn write_item(item: &ItemView, out: &mut Vec<u8>) {
    for (key, text) in [
        ("{\"id\":", &item.id),
        (",\"name\":", &item.name),
        (",\"image_url\":", &item.image_url),
    ] {
        out.extend_from_slice(key.as_bytes());
        write_string(text, out);
    }
    // What others hold is not to be had, and not sold either.
    out.extend_from_slice(if item.sold == item.stock {
        b",\"sold\":true"
    } else {
        b",\"sold\":false"
    });
    for (key, number) in [
        (",\"stock\":", item.stock),
        (",\"remaining\":", item.remaining),
    ] {
        out.extend_from_slice(key.as_bytes());
        write_number(number, out);
    }
    out.push(b'}');
}

/// The value of `status`.
struct Status(SaleStatus);

impl FromStr for Status {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        match text {
            "scheduled" => Ok(Self(SaleStatus::Scheduled)),
            "active" => Ok(Self(SaleStatus::Active)),
            "ended" => Ok(Self(SaleStatus::Ended)),
            _ => Err(Malformed("must be scheduled, active or ended")),
        }
    }
}

/// The value of `available`.
struct Flag(bool);

impl FromStr for Flag {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        match text {
            "true" => Ok(Self(true)),
            "false" => Ok(Self(false)),
            _ => Err(Malformed("must be true or false")),
        }
    }
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

    #[test]
    fn an_item_is_escaped() {
        let item = ItemView {
            id: "a\"".into(),
            name: "\n".into(),
            image_url: "/images/a.svg".into(),
            stock: 2,
            sold: 2,
            remaining: 0,
        };
        let mut out = Vec::new();
        write_item(&item, &mut out);
        let expected = r#"{"id":"a\"","name":"\n","image_url":"/images/a.svg","sold":true,"stock":2,"remaining":0}"#;
        assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);

        let mut out = Vec::new();
        let held = ItemView { sold: 1, ..item };
        write_item(&held, &mut out);
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(
            text.contains(r#""sold":false,"stock":2,"remaining":0"#),
            "{text}"
        );
    }
}
