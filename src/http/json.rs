//! JSON that is written by hand into a buffer that is used again: the hot answers need no serializer.

use std::cell::RefCell;

use hyper::body::Bytes;

use crate::types::{CheckoutCode, Timestamp};

/// Returns what `write` appends, in one allocation of exactly its length.
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

/// Appends a code in its usual form. It is not formatted, because formatting 128 bits costs 100 ns.
pub(super) fn write_code(code: CheckoutCode, out: &mut Vec<u8>) {
    out.extend_from_slice(b"CHK-");
    write_number(code.sale.0, out);
    out.push(b'-');
    let bytes = code.secret.to_be_bytes();
    let mut digits = [0; 2 * size_of::<u128>()];
    for (digits, byte) in digits.as_chunks_mut().0.iter_mut().zip(bytes) {
        *digits = hex_digits(byte);
    }
    out.extend_from_slice(&digits);
}

/// Returns the two digits of a byte. Computed, and not read from a table, they can be those of many bytes at once.
fn hex_digits(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|nibble| nibble + if nibble < 10 { b'0' } else { b'a' - 10 })
}

/// Appends a time in its usual form. The texts of the few times that answers contain again and again, the starts and
/// ends of sales, are kept.
pub(super) fn write_time(at: Timestamp, out: &mut Vec<u8>) {
    /// A prime, so that the times of whole hours do not share one slot.
    const KEPT: usize = 31;
    thread_local! {
        static TEXTS: RefCell<[(Timestamp, String); KEPT]> =
            RefCell::new(std::array::from_fn(|_| (Timestamp(0), Timestamp(0).to_string())));
    }
    TEXTS.with_borrow_mut(|texts| {
        let (kept, text) = &mut texts[(at.0 / 1_000_000) as usize % KEPT];
        if *kept != at {
            (*kept, *text) = (at, at.to_string());
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

/// Escapes what was appended since `start` for the inside of a JSON string.
pub(super) fn escape_from(start: usize, out: &mut Vec<u8>) {
    let needs_escape = |byte: &u8| (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\');
    // All bytes are looked at, so that it can be at many at once. Hardly any text has one.
    let any = |found, byte| found | needs_escape(byte);
    if !out[start..].iter().fold(false, any) {
        return;
    }
    for byte in out.split_off(start) {
        let short = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.extend(hex_digits(byte));
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

/// Appends a comma, unless the list has just begun.
pub(super) fn write_separator(list: &mut Vec<u8>) {
    if list.len() > 1 {
        list.push(b',');
    }
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
    fn a_body_has_nothing_of_the_one_before() {
        assert_eq!(body(|out| write_number(1234_u32, out)), "1234");
        assert_eq!(body(|out| write_number(0_u64, out)), "0");
    }
}
