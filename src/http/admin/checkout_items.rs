//! The JSON member `items` of a checkout or purchase, with a comma before it.

use crate::http::json::{write_number, write_separator, write_string, write_time};
use crate::record::ReleasedLine;
use crate::sale::{Cancellation, Sale};
use crate::types::{ItemIndex, PurchasedLine};

/// Appends the items of a purchase, sold or not.
pub(super) fn write_purchased(sale: &Sale, lines: &[PurchasedLine], out: &mut Vec<u8>) {
    let lines = lines.iter();
    write_items(
        sale,
        lines.map(|line| (line.item, line.quantity, Some(line.sold))),
        out,
    );
}

/// Appends the items of a checkout that was not purchased.
pub(super) fn write_chosen(
    sale: &Sale,
    lines: impl Iterator<Item = (ItemIndex, u32)>,
    out: &mut Vec<u8>,
) {
    let lines = lines.map(|(item, quantity)| (item, quantity, None));
    write_items(sale, lines, out);
}

/// Appends units of items as the member `name`.
pub(super) fn write_units(name: &str, sale: &Sale, lines: &[ReleasedLine], out: &mut Vec<u8>) {
    let lines = lines.iter();
    write_member(
        name,
        sale,
        lines.map(|line| (line.item, line.quantity, None)),
        out,
    );
}

/// Appends what was cancelled of a purchase, if anything was.
pub(super) fn write_cancellations(sale: &Sale, cancelled: &[Cancellation], out: &mut Vec<u8>) {
    if cancelled.is_empty() {
        return;
    }
    let mut list = vec![b'['];
    for cancellation in cancelled {
        write_separator(&mut list);
        list.extend_from_slice(b"{\"ref\":");
        write_string(&cancellation.reference, &mut list);
        list.extend_from_slice(b",\"cancelled_at\":\"");
        write_time(cancellation.at, &mut list);
        list.extend_from_slice(if cancellation.restock {
            b"\",\"restock\":true"
        } else {
            b"\",\"restock\":false"
        });
        write_units("items", sale, &cancellation.lines, &mut list);
        list.push(b'}');
    }
    list.push(b']');
    out.extend_from_slice(b",\"cancellations\":");
    out.extend_from_slice(&list);
}

fn write_items(
    sale: &Sale,
    lines: impl Iterator<Item = (ItemIndex, u32, Option<bool>)>,
    out: &mut Vec<u8>,
) {
    write_member("items", sale, lines, out);
}

fn write_member(
    name: &str,
    sale: &Sale,
    lines: impl Iterator<Item = (ItemIndex, u32, Option<bool>)>,
    out: &mut Vec<u8>,
) {
    let mut list = vec![b'['];
    for (item, quantity, sold) in lines {
        write_separator(&mut list);
        list.extend_from_slice(b"{\"id\":");
        write_text(|text| sale.write_item_id(item, text), &mut list);
        list.extend_from_slice(b",\"name\":");
        write_text(|text| sale.write_item_name(item, text), &mut list);
        list.extend_from_slice(b",\"quantity\":");
        write_number(quantity, &mut list);
        if let Some(sold) = sold {
            list.extend_from_slice(if sold {
                b",\"sold\":true"
            } else {
                b",\"sold\":false"
            });
        }
        list.push(b'}');
    }
    list.push(b']');
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    out.extend_from_slice(&list);
}

fn write_text(write: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    let mut text = Vec::new();
    write(&mut text);
    write_string(&String::from_utf8_lossy(&text), out);
}
