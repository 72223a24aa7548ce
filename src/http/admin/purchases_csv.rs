//! `GET /admin/sales/{id}/purchases?format=csv`: all that was sold, a row for each item of a purchase.

use std::sync::Arc;

use hyper::header::{CONTENT_DISPOSITION, HeaderValue};
use tokio::sync::mpsc::{Sender, channel};

use crate::env::step_back;
use crate::http::answer::Answer;
use crate::http::json::{write_code, write_number, write_time};
use crate::http::live::stream::in_pieces;
use crate::http::payload::Made;
use crate::http::problem::Problem;
use crate::http::routes::RoutedRequest;
use crate::limits::{BACKGROUND_NICE, EXPORT_PIECE_BYTES, EXPORT_PURCHASES};
use crate::sale::{Engine, PurchaseView, Sale};

/// `text/csv` of RFC 4180, whose first line has the names of the columns.
const CSV: HeaderValue = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
const COLUMNS: &[u8] = b"code,user_id,purchased_at,item_id,item_name,quantity,cancelled\r\n";

/// Returns the answer whose body has all purchases of `sale`, or of `user` in it, in the order of their times. Those that are made while it is
/// sent are in it, too.
///
/// # Errors
/// As many exports as may be are under way.
pub(super) fn answer(
    request: &RoutedRequest<'_>,
    sale: Arc<Sale>,
    user: Option<Box<str>>,
) -> Result<Answer, Problem> {
    let name = format!("attachment; filename=\"sale-{}-purchases.csv\"", sale.id());
    let name = HeaderValue::try_from(name).map_err(|_| Problem::internal())?;
    let mut answer = in_pieces(CSV, request, || {
        let engine = Arc::clone(&request.api.engine);
        // One piece is under way while the next is made.
        let (sender, pieces) = channel(1);
        let export = move || {
            step_back(BACKGROUND_NICE);
            write_all(&engine, &sale, user.as_deref(), &sender);
        };
        request.api.administration.export_pool.start(export)?;
        Ok(pieces.into())
    })?;
    let headers = answer.response.headers_mut();
    headers.insert(CONTENT_DISPOSITION, name);
    Ok(answer)
}

/// Sends all pieces and the end; but not the end where the client leaves, or the journal fails and the server ends with it.
fn write_all(engine: &Engine, sale: &Sale, user: Option<&str>, sender: &Sender<Made>) {
    let (mut piece, mut after) = (COLUMNS.to_vec(), None);
    loop {
        let page = sale.purchases(user, after, EXPORT_PURCHASES);
        // Nothing is told that is not on the disk.
        if engine.flush().is_err() {
            return;
        }
        for purchase in &page.purchases {
            write_rows(sale, purchase, &mut piece);
            if piece.len() >= EXPORT_PIECE_BYTES && !send(sender, std::mem::take(&mut piece)) {
                return;
            }
        }
        after = page.next;
        if after.is_none() {
            if send(sender, piece) {
                let _ = sender.blocking_send(Made::End);
            }
            return;
        }
    }
}

/// Waits until the client has taken the piece before. Returns whether there still is a client.
fn send(sender: &Sender<Made>, piece: Vec<u8>) -> bool {
    sender.blocking_send(Made::Piece(piece.into())).is_ok()
}

fn write_rows(sale: &Sale, purchase: &PurchaseView, out: &mut Vec<u8>) {
    for line in purchase.result.lines.iter().filter(|line| line.sold) {
        write_code(purchase.code, out);
        out.push(b',');
        write_cell(|cell| cell.extend_from_slice(purchase.user.as_bytes()), out);
        out.push(b',');
        write_time(purchase.at, out);
        out.push(b',');
        write_cell(|cell| sale.write_item_id(line.item, cell), out);
        out.push(b',');
        write_cell(|cell| sale.write_item_name(line.item, cell), out);
        out.push(b',');
        write_number(line.quantity, out);
        out.push(b',');
        write_number(purchase.cancelled_units(line.item), out);
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes a cell whose text others have chosen. A spreadsheet takes a cell that begins with one of a few characters for a formula; behind an
/// apostrophe it is a text (OWASP, "CSV Injection").
fn write_cell(write: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    let mut text = Vec::new();
    write(&mut text);
    if matches!(
        text.first(),
        Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r')
    ) {
        text.insert(0, b'\'');
    }
    let is_plain = !text
        .iter()
        .any(|byte| matches!(byte, b'"' | b',' | b'\r' | b'\n'));
    if is_plain {
        out.extend_from_slice(&text);
        return;
    }
    out.push(b'"');
    for byte in text {
        // A quote is written twice.
        out.extend(std::iter::repeat_n(byte, if byte == b'"' { 2 } else { 1 }));
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> String {
        let mut out = Vec::new();
        write_cell(|cell| cell.extend_from_slice(text.as_bytes()), &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_cell_is_never_a_formula() {
        for first in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            let cell = cell(first);
            let inner = cell.trim_matches('"');
            assert!(inner.starts_with('\''), "{cell}");
            assert!(inner.ends_with(first), "{cell}");
        }
        assert_eq!(cell("1=1"), "1=1");
    }

    #[test]
    fn cells_with_separators_are_quoted() {
        assert_eq!(cell("ada"), "ada");
        assert_eq!(cell("lamp, red"), "\"lamp, red\"");
        assert_eq!(cell("24\" lamp"), "\"24\"\" lamp\"");
        assert_eq!(cell("a\nb"), "\"a\nb\"");
        assert_eq!(cell("=\"x\""), "\"'=\"\"x\"\"\"");
    }
}
