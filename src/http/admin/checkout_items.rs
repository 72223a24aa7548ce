//! The JSON member `items` of a checkout or purchase, with a comma before it.

use crate::http::json::{write_number, write_separator, write_string};
use crate::sale::Sale;
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

/// Appends the items of an open checkout.
pub(super) fn write_chosen(sale: &Sale, lines: &[(ItemIndex, u32)], out: &mut Vec<u8>) {
    let lines = lines.iter();
    write_items(
        sale,
        lines.map(|&(item, quantity)| (item, quantity, None)),
        out,
    );
}

fn write_items(
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
    out.extend_from_slice(b",\"items\":");
    out.extend_from_slice(&list);
}

fn write_text(write: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    let mut text = Vec::new();
    write(&mut text);
    write_string(&String::from_utf8_lossy(&text), out);
}
