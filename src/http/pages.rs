//! The page for people who open the address in a browser.

use std::fmt::Write;

use hyper::header::{CONTENT_SECURITY_POLICY, HOST, HeaderMap, HeaderValue};

use super::Api;
use super::answer::Answer;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const NO_SCRIPTS: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; img-src 'self'");

const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>Flash sale</title>\
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:4rem auto;padding:0 1rem}\
pre{background:#f3f3f5;padding:1rem;border-radius:.5rem;overflow-x:auto}</style>\
<h1>Flash sale</h1>";

/// What is on sale, and how to buy it.
pub(super) fn sale_page(api: &Api, headers: &HeaderMap) -> Answer {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = escape(host.unwrap_or("localhost:8080"));
    let mut html = HEAD.to_owned();
    // Writing into memory cannot fail.
    let _ = match api.engine.active_sale() {
        Some(sale) => {
            let (id, ends, figures) = (sale.id(), sale.ended_at(), sale.figures());
            let left = figures.total.saturating_sub(figures.sold);
            let total = figures.total;
            write!(
                html,
                "<p>Sale {id} is open until {ends}: {left} of {total} units are unsold. \
                 <a href=\"/sales/{id}/items?available=true\">See them</a>, then buy one:</p>\
                 <pre>curl -X POST 'http://{host}/checkout?user_id=me&amp;id=ITEM'\n\
                 curl -X POST 'http://{host}/purchase?code=CODE'</pre>"
            )
        }
        None => {
            write!(
                html,
                "<p>No sale is open at the moment. <a href=\"/sales\">All sales</a></p>"
            )
        }
    };
    let mut answer = Answer::shown(HTML, html);
    answer
        .response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, NO_SCRIPTS);
    answer
}

/// `text` without what means something in HTML.
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
}
