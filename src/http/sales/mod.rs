//! Sales and their items: `/sales/active`, `/sales`, `/sales/{id}`, `/sales/{id}/items` and `/sales/{id}/items/{item}`.

pub(super) mod images;

use std::str::FromStr;

use super::answer::{Answer, JSON};
use super::encoding::decode_segment;
use super::json::{write_number, write_separator, write_string, write_time};
use super::pagination::{page, page_limit};
use super::parameters::{Field, Parameters};
use super::problem::Problem;
use super::routes::RoutedRequest;
use super::values::{Flag, Whole};
use crate::limits::PAGE_ITEMS_MAX;
use crate::sale::{ItemView, Overview, Sale, SaleStatus};
use crate::telemetry::Outcome;
use crate::types::{ItemId, ItemIndex, Malformed, PaymentTerms, PurchaseBy, SaleId};

/// The most items that one request scans to fill its page; the next page continues behind them.
const SCANNED_ITEMS_MAX: u32 = 10 * PAGE_ITEMS_MAX;

/// `GET /sales/active`: the running sale that started last.
pub(in crate::http) fn active_sale(request: &RoutedRequest<'_>) -> Result<Answer, Problem> {
    let message = "No active sale";
    let engine = &request.api.engine;
    let sale = engine
        .active_sale()
        .ok_or_else(|| Problem::missing(Outcome::SaleNotFound, message))?;
    let now = engine.clock().now();
    Ok(shown_sale(&Overview::of(&sale, now)))
}

/// `GET /sales/{id}`: one sale.
pub(in crate::http) fn sale(request: &RoutedRequest<'_>) -> Result<Answer, Problem> {
    let [id, _] = request.names;
    let sale = request.api.engine.overview(sale_id(id)?);
    sale.map(|sale| shown_sale(&sale))
        .ok_or_else(Problem::sale_not_found)
}

fn shown_sale(sale: &Overview) -> Answer {
    let mut body = Vec::with_capacity(192);
    write_sale(sale, &mut body);
    Answer::shown(JSON, body)
}

/// `GET /sales`: all sales, or those with one status, newest first.
pub(in crate::http) fn sales(request: &RoutedRequest<'_>) -> Result<Answer, Problem> {
    let mut parameters = Parameters::from_query(request.query());
    let status: Option<Status> = parameters.chosen(Field::Status);
    let limit = page_limit(&mut parameters);
    let before: Option<SaleId> = parameters.chosen(Field::Cursor);
    parameters.check()?;

    let status = status.map(|Status(status)| status);
    // One more, which shows whether there is a next page.
    let mut sales = request
        .api
        .engine
        .overviews(before, status, limit as usize + 1);
    let more = sales.len() > limit as usize;
    sales.truncate(limit as usize);
    let mut body = vec![b'['];
    for sale in &sales {
        write_separator(&mut body);
        write_sale(sale, &mut body);
    }
    body.push(b']');
    let next = sales.last().filter(|_| more);
    page(body, &request.head.uri, next.map(|last| last.id.0))
}

/// A page of the items of a sale.
struct ItemsPage {
    only_available: bool,
    start: u32,
    limit: u32,
}

impl ItemsPage {
    fn from_query(query: Option<&str>) -> Result<Self, Problem> {
        let mut parameters = Parameters::from_query(query);
        let only_available = parameters
            .chosen(Field::Available)
            .is_some_and(|Flag(set)| set);
        let limit = page_limit(&mut parameters);
        let start = parameters.chosen(Field::Cursor).unwrap_or(Whole(0)).0;
        parameters.check()?;
        Ok(Self {
            only_available,
            start,
            limit,
        })
    }

    /// Returns the items as a JSON list, and the cursor of the next page, when there is one.
    fn render(&self, sale: &Sale) -> (Vec<u8>, Option<u32>) {
        let end = self.start.saturating_add(SCANNED_ITEMS_MAX);
        let mut indexes = self.start..end.min(sale.item_count());
        let items = indexes
            .by_ref()
            .filter_map(|index| sale.item_view(ItemIndex(index)))
            .filter(|item| !self.only_available || item.remaining > 0);
        let mut list = vec![b'['];
        for item in items.take(self.limit as usize) {
            write_separator(&mut list);
            write_item(&item, &mut list);
        }
        list.push(b']');
        let next = indexes.start;
        (list, (next < sale.item_count()).then_some(next))
    }
}

/// `GET /sales/{id}/items`: the items of a sale, in their order.
pub(in crate::http) async fn sale_items(request: RoutedRequest<'_>) -> Result<Answer, Problem> {
    let id = sale_id(request.names[0])?;
    let items = ItemsPage::from_query(request.query())?;
    let sale = request.api.find_sale(id).await?;
    let (list, next) = items.render(&sale);
    page(list, &request.head.uri, next)
}

/// `GET /sales/{id}/items/{item}`: one item of a sale, whose id is percent-encoded.
pub(in crate::http) async fn sale_item(request: RoutedRequest<'_>) -> Result<Answer, Problem> {
    let [sale, item] = request.names;
    let sale = request.api.find_sale(sale_id(sale)?).await?;
    let wrong = |Malformed(wrong)| Problem::validation(vec![("item_id".into(), wrong.into())]);
    let id = decode_segment(item).map_err(wrong)?;
    let id = ItemId::new(&id).map_err(wrong)?;
    let item = sale.find_item(id).and_then(|index| sale.item_view(index));
    let item = item.ok_or_else(Problem::item_not_found)?;
    let mut body = Vec::with_capacity(192);
    write_item(&item, &mut body);
    Ok(Answer::shown(JSON, body))
}

/// Parses the id of the sale that a path names.
pub(in crate::http) fn sale_id(id: &str) -> Result<SaleId, Problem> {
    id.parse().map_err(|_| Problem::sale_not_found())
}

/// Appends a sale as a JSON object.
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
    write_payment_terms(sale.payment, out);
    if sale.is_paused {
        out.extend_from_slice(b",\"paused\":true");
    }
    out.push(b'}');
}

/// Appends the terms of paying, where the sale has any.
fn write_payment_terms(terms: PaymentTerms, out: &mut Vec<u8>) {
    if terms.seconds > 0 {
        out.extend_from_slice(b",\"payment_seconds\":");
        write_number(terms.seconds, out);
    }
    if terms.purchase_by == PurchaseBy::Shop {
        out.extend_from_slice(b",\"purchase_by\":\"shop\"");
    }
}

/// Appends an item as a JSON object.
pub(in crate::http) fn write_item(item: &ItemView, out: &mut Vec<u8>) {
    for (key, text) in [
        ("{\"id\":", &item.id),
        (",\"name\":", &item.name),
        (",\"image_url\":", &item.image_url),
    ] {
        out.extend_from_slice(key.as_bytes());
        write_string(text, out);
    }
    // Held units are neither remaining nor sold.
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
    if let Some(limit) = item.max_per_user {
        out.extend_from_slice(b",\"max_per_user\":");
        write_number(limit, out);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_escaped() {
        let item = ItemView {
            id: "a\"".into(),
            name: "\n".into(),
            image_url: "/images/a.svg".into(),
            stock: 2,
            sold: 2,
            remaining: 0,
            max_per_user: None,
        };
        let mut out = Vec::new();
        write_item(&item, &mut out);
        let expected = r#"{"id":"a\"","name":"\n","image_url":"/images/a.svg","sold":true,"stock":2,"remaining":0}"#;
        assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);

        let mut out = Vec::new();
        let held = ItemView {
            sold: 1,
            max_per_user: Some(3),
            ..item
        };
        write_item(&held, &mut out);
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(
            text.ends_with(r#""sold":false,"stock":2,"remaining":0,"max_per_user":3}"#),
            "{text}"
        );
    }
}
