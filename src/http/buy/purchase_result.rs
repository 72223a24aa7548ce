//! The result of a purchase as JSON.

use crate::http::json::{escape_from, write_number};
use crate::sale::Sale;
use crate::sale::outcome::PurchaseResult;

/// Appends the body of the first answer to a purchase: a success, or the error that every item was gone.
pub(in crate::http) fn write_purchase(sale: &Sale, result: &PurchaseResult, out: &mut Vec<u8>) {
    out.push(b'{');
    if result.any_sold() {
        out.extend_from_slice(b"\"success\":true");
    } else {
        out.extend_from_slice(b"\"message\":\"");
        out.extend_from_slice(ALL_ITEMS_SOLD.as_bytes());
        out.extend_from_slice(b"\",\"error\":\"all_items_sold\"");
    }
    write_purchased_items(sale, result, out);
    out.push(b'}');
}

/// The message of a purchase whose items were all sold to others.
pub(in crate::http) const ALL_ITEMS_SOLD: &str = "All items in this checkout are sold";

/// Appends the members `purchased_items`, `total_purchased` (units sold) and `failed_count` (units
/// not sold), each with a comma before it. `quantity` is shown only where it is not 1.
pub(in crate::http) fn write_purchased_items(
    sale: &Sale,
    result: &PurchaseResult,
    out: &mut Vec<u8>,
) {
    let (mut units_sold, mut units_failed) = (0_u64, 0_u64);
    out.extend_from_slice(b",\"purchased_items\":[");
    for (i, line) in result.lines.iter().enumerate() {
        out.extend_from_slice(if i == 0 {
            b"{\"id\":\""
        } else {
            b",{\"id\":\""
        });
        let start = out.len();
        sale.write_item_id(line.item, out);
        escape_from(start, out);
        out.extend_from_slice(b"\",\"name\":\"");
        let start = out.len();
        sale.write_item_name(line.item, out);
        escape_from(start, out);
        out.push(b'"');
        if line.quantity > 1 {
            out.extend_from_slice(b",\"quantity\":");
            write_number(line.quantity, out);
        }
        out.extend_from_slice(if line.sold {
            b",\"sold\":true}"
        } else {
            b",\"sold\":false}"
        });
        let units = if line.sold {
            &mut units_sold
        } else {
            &mut units_failed
        };
        *units += u64::from(line.quantity);
    }
    out.extend_from_slice(b"],\"total_purchased\":");
    write_number(units_sold, out);
    out.extend_from_slice(b",\"failed_count\":");
    write_number(units_failed, out);
}
