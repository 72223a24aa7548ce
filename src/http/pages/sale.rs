//! The text of the sale page before its script runs, and for browsers without scripts.
//!
//! Attributes of `main` have the same figures for the script, which loads the page again when a sale is over.

use std::fmt::Write;
use std::sync::Arc;

use hyper::header::{HOST, HeaderMap};

use crate::http::Api;
use crate::limits::LISTED_SALES_MAX;
use crate::sale::{Overview, Sale, SaleStatus};
use crate::telemetry::grouped;
use crate::types::{PurchaseBy, SaleId, Timestamp};

/// Fills `frame` with the sale that was `asked` for if it is active, or else with the active one that started last.
pub(super) fn fill(frame: &str, api: &Api, asked: Option<SaleId>, headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = escape(host.unwrap_or("localhost:8080"));
    let sales = api.engine.active_sales();
    let found = sales.iter().find(|sale| Some(sale.id()) == asked);
    let missed = asked.filter(|_| found.is_none());
    let shown = found.or(sales.first());
    let (attributes, status) = match shown {
        Some(sale) => (attributes_of(sale), open(sale)),
        None => closed(next_start(api)),
    };
    let attributes = match &api.payment_page {
        Some(page) => format!("{attributes} data-pay=\"{}\"", page.replace('&', "&amp;")),
        None => attributes,
    };
    frame
        .replace("{{attributes}}", &attributes)
        .replace("{{sales}}", &choice(&sales, shown))
        .replace(
            "{{asked}}",
            &missed.map_or_else(String::new, |id| why_not(api, id)),
        )
        .replace("{{status}}", &status)
        .replace("{{scheme}}", api.scheme)
        .replace("{{host}}", &host)
}

/// Returns links to the active sales, where there are several.
fn choice(sales: &[Arc<Sale>], shown: Option<&Arc<Sale>>) -> String {
    let mut links = String::new();
    if sales.len() < 2 {
        return links;
    }
    for sale in sales.iter().take(LISTED_SALES_MAX) {
        let (id, figures) = (sale.id(), sale.figures());
        let left = grouped(figures.total.saturating_sub(figures.sold));
        let current = match shown {
            Some(shown) if shown.id() == id => " aria-current=\"page\"",
            _ => "",
        };
        // Writing into memory cannot fail.
        let _ = write!(
            links,
            "<a href=\"?sale_id={id}\"{current}>Sale {id} <span class=\"muted figure\">{left} unsold</span></a> "
        );
    }
    if sales.len() > LISTED_SALES_MAX {
        links.push_str("<a href=\"sales?status=active\">All of them</a>");
    }
    links
}

/// Returns the reason why the sale that was asked for is not shown.
fn why_not(api: &Api, id: SaleId) -> String {
    match api.engine.overview(id) {
        None => format!("There is no sale {id}."),
        Some(Overview {
            status: SaleStatus::Scheduled,
            started_at,
            ..
        }) => format!("Sale {id} has not begun: it begins at {started_at}."),
        Some(_) => format!("Sale {id} is over."),
    }
}

fn attributes_of(sale: &Sale) -> String {
    let terms = sale.terms();
    let (id, ends) = (sale.id(), sale.ended_at());
    let (limit, hold) = (terms.max_items_per_user, terms.hold_seconds);
    let payment = terms.payment.seconds;
    let figures = sale.figures();
    let (total, sold, free) = (figures.total, figures.sold, figures.free());
    let paused = if sale.is_paused() {
        " data-paused=\"true\""
    } else {
        ""
    };
    let by = match terms.payment.purchase_by {
        PurchaseBy::Buyer => "",
        PurchaseBy::Shop => " data-by=\"shop\"",
    };
    format!(
        "data-sale=\"{id}\" data-ends=\"{ends}\" data-limit=\"{limit}\" \
         data-hold=\"{hold}\" data-payment=\"{payment}\" data-total=\"{total}\" data-sold=\"{sold}\" data-remaining=\"{free}\"{paused}{by}"
    )
}

fn open(sale: &Sale) -> String {
    let (id, ends, figures) = (sale.id(), sale.ended_at(), sale.figures());
    let left = grouped(figures.total.saturating_sub(figures.sold));
    let total = grouped(figures.total);
    let state = if sale.is_paused() {
        "is paused, and is open"
    } else {
        "is open"
    };
    format!(
        "Sale {id} {state} until {ends}: {left} of {total} units are unsold. \
         <a href=\"sales/{id}/items?available=true\">See them</a>"
    )
}

/// Returns the start of the next scheduled sale.
fn next_start(api: &Api) -> Option<Timestamp> {
    let now = api.engine.clock().now();
    let sales = api.engine.open_sales();
    let starts = sales.iter().map(|sale| sale.started_at());
    starts.filter(|&start| start > now).min()
}

/// Returns attributes and status while no sale is active.
fn closed(next: Option<Timestamp>) -> (String, String) {
    let mut attributes = String::new();
    let mut status = "No sale is open at the moment.".to_owned();
    if let Some(next) = next {
        // Writing into memory cannot fail.
        let _ = write!(attributes, "data-next=\"{next}\"");
        let _ = write!(status, " The next one begins at {next}.");
    }
    status.push_str(" <a href=\"sales\">All sales</a>");
    (attributes, status)
}

/// Returns `text` without the characters that have a meaning in HTML.
fn escape(text: &str) -> String {
    text.chars()
        .filter(|c| !matches!(c, '<' | '>' | '&' | '"' | '\''))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_cannot_become_markup() {
        assert_eq!(escape("a<script>'\"&:80"), "ascript:80");
    }

    #[test]
    fn the_next_sale_is_announced() {
        let (attributes, status) = closed(Some(Timestamp::from_seconds(3600)));
        assert_eq!(attributes, "data-next=\"1970-01-01T01:00:00Z\"");
        assert!(
            status.contains("begins at 1970-01-01T01:00:00Z"),
            "{status}"
        );
        assert_eq!(closed(None).0, "");
    }
}
