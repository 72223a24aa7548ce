//! Answers, and the JSON of the hot ones, written by hand into a buffer that is used again.

use std::cell::RefCell;

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use super::payload::Payload;
use crate::sale::Sale;
use crate::sale::outcome::PurchaseResult;
use crate::telemetry::Outcome;
use crate::types::{CheckoutCode, Timestamp};

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(super) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
pub(super) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// A response, and the label that it is counted under.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    pub(super) response: Response<Payload>,
}

impl Answer {
    pub(super) fn new(
        outcome: Outcome,
        status: StatusCode,
        content_type: HeaderValue,
        body: impl Into<Payload>,
    ) -> Self {
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        Self { outcome, response }
    }

    /// 200 with JSON.
    pub(super) fn json(outcome: Outcome, body: Bytes) -> Self {
        Self::new(outcome, StatusCode::OK, JSON, body)
    }

    /// 200 with something to look at.
    pub(super) fn shown(content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        let body: Bytes = body.into();
        Self::new(Outcome::Ok, StatusCode::OK, content_type, body)
    }
}

/// What `write` wrote, in one allocation of exactly its length.
pub(super) fn body(write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    thread_local! {
        static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        write(scratch);
        Bytes::copy_from_slice(scratch)
    })
}

/// Appends a decimal number.
pub(super) fn write_number(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a code as it displays itself; by hand, because formatting 128 bits costs 100 ns.
pub(super) fn write_code(code: CheckoutCode, out: &mut Vec<u8>) {
    out.extend_from_slice(b"CHK-");
    write_number(code.sale.0, out);
    out.push(b'-');
    for byte in code.secret.to_be_bytes() {
        out.extend([byte >> 4, byte & 15].map(hex_digit));
    }
}

fn hex_digit(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble)]
}

/// Appends a time as it displays itself. The calendar is asked once for each of the few times that
/// answers contain again and again: when sales begin and end.
pub(super) fn write_time(at: Timestamp, out: &mut Vec<u8>) {
    /// A prime, so that sales of whole hours do not meet at one place.
    const REMEMBERED: usize = 31;
    thread_local! {
        static TEXTS: RefCell<[(Timestamp, String); REMEMBERED]> =
            RefCell::new(std::array::from_fn(|_| (Timestamp(0), Timestamp(0).to_string())));
    }
    TEXTS.with_borrow_mut(|texts| {
        let (remembered, text) = &mut texts[(at.0 / 1_000_000) as usize % REMEMBERED];
        if *remembered != at {
            (*remembered, *text) = (at, at.to_string());
        }
        out.extend_from_slice(text.as_bytes());
    });
}

/// Appends `text` as a JSON string.
pub(super) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.extend_from_slice(text.as_bytes());
    escape_from(start, out);
    out.push(b'"');
}

/// Makes what was appended since `start` fit for the inside of a JSON string.
fn escape_from(start: usize, out: &mut Vec<u8>) {
    let needs_escape = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    let Some(first) = out[start..].iter().position(needs_escape) else {
        return;
    };
    for byte in out.split_off(start + first) {
        let short = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.extend([byte >> 4, byte & 15].map(hex_digit));
                continue;
            }
            _ => {
                out.push(byte);
                continue;
            }
        };
        out.extend([b'\\', short]);
    }
}

/// Appends the body of the first answer to a purchase: a success, or that every item was gone.
pub(super) fn write_purchase(sale: &Sale, result: &PurchaseResult, out: &mut Vec<u8>) {
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

/// The message to a buyer who came too late for everything.
pub(super) const ALL_ITEMS_SOLD: &str = "All items in this checkout are sold";

/// Appends the members `purchased_items`, `total_purchased` (units sold) and `failed_count` (units
/// not sold), each with a comma before it. `quantity` is shown only where it is not 1.
pub(super) fn write_purchased_items(sale: &Sale, result: &PurchaseResult, out: &mut Vec<u8>) {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::SaleId;

    fn string(text: &str) -> String {
        String::from_utf8(body(|out| write_string(text, out)).to_vec()).expect("UTF-8")
    }

    proptest! {
        #[test]
        fn strings_are_what_serde_json_writes(text in any::<String>()) {
            prop_assert_eq!(string(&text), serde_json::to_string(&text).expect("a string"));
        }

        #[test]
        fn ascii_strings_too(text in "[\\x00-\\x7f]*") {
            prop_assert_eq!(string(&text), serde_json::to_string(&text).expect("a string"));
        }
    }

    #[test]
    fn codes_are_written_as_they_display() {
        for secret in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef << 60] {
            let code = CheckoutCode {
                sale: SaleId(12),
                secret,
            };
            assert_eq!(body(|out| write_code(code, out)), code.to_string());
        }
    }

    #[test]
    fn times_are_written_as_they_display() {
        for round in 0..2 {
            for at in [
                0,
                1,
                3_600_000_000,
                -5,
                i64::MAX,
                i64::MIN,
                31_000_000,
                62_000_000,
            ] {
                let text = body(|out| write_time(Timestamp(at), out));
                assert_eq!(text, Timestamp(at).to_string(), "{round}");
            }
        }
    }

    #[test]
    fn a_body_is_only_what_was_written_last() {
        assert_eq!(body(|out| write_number(1234_u32, out)), "1234");
        assert_eq!(body(|out| write_number(0_u64, out)), "0");
    }
}
