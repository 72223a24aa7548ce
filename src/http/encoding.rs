//! The encodings of parameters: forms and queries, and errors of JSON objects.

use std::borrow::Cow;
use std::fmt::Write;

use memchr::memchr2;

use crate::types::Malformed;

const BROKEN_ESCAPE: Malformed = Malformed("has a broken percent-encoding");
const NOT_UTF8: Malformed = Malformed("must be UTF-8");
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether `form` contains something to decode. Asking once costs less than looking into each part.
pub(super) fn is_encoded(form: &str) -> bool {
    memchr2(b'%', b'+', form.as_bytes()).is_some()
}

/// Decodes a text of a form or query: `%XX`, and `+` for a space.
pub(super) fn decode(text: &str) -> Result<Cow<'_, str>, Malformed> {
    match memchr2(b'%', b'+', text.as_bytes()) {
        None => Ok(Cow::Borrowed(text)),
        Some(plain) => decode_from(plain, text.as_bytes()).map(Cow::Owned),
    }
}

/// Decodes a part of a path: `%XX`. A `+` stays one.
pub(super) fn decode_segment(text: &str) -> Result<Cow<'_, str>, Malformed> {
    if text.contains('+') {
        let escaped = text.replace('+', "%2B");
        return decode(&escaped).map(|text| Cow::Owned(text.into_owned()));
    }
    decode(text)
}

/// Decodes a text of a form whose first encoded byte is at `start`.
fn decode_from(start: usize, text: &[u8]) -> Result<String, Malformed> {
    let mut decoded = Vec::with_capacity(text.len());
    let (plain, mut rest) = text.split_at(start);
    decoded.extend_from_slice(plain);
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        decoded.push(match first {
            b'+' => b' ',
            b'%' => {
                let (escape, after) = after.split_at_checked(2).ok_or(BROKEN_ESCAPE)?;
                let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(BROKEN_ESCAPE);
                rest = after;
                (digit(escape[0])? * 16 + digit(escape[1])?) as u8
            }
            plain => plain,
        });
    }
    String::from_utf8(decoded).map_err(|_| NOT_UTF8)
}

/// Returns `form` with every byte beyond ASCII percent-encoded, so that it is text.
pub(super) fn escape_beyond_ascii(form: &[u8]) -> String {
    let mut text = String::with_capacity(3 * form.len());
    for &byte in form {
        if byte.is_ascii() {
            text.push(char::from(byte));
        } else {
            // Writing into memory cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Returns the names and values of a form or query, still encoded.
pub(super) fn pairs(mut form: &str) -> impl Iterator<Item = (&str, &str)> {
    std::iter::from_fn(move || {
        while let Some(rest) = form.strip_prefix('&') {
            form = rest;
        }
        let (pair, rest) = form.split_at(place_of(b'&', form));
        form = rest;
        let (name, value) = pair.split_at(place_of(b'=', pair));
        let value = value.strip_prefix('=').unwrap_or_default();
        (!pair.is_empty()).then_some((name, value))
    })
}

/// Returns the place of the first `byte`, which is ASCII, in `text`, or the end. It takes eight bytes at a time: names and
/// values are short, and to prepare a search by vectors would cost more.
fn place_of(byte: u8, text: &str) -> usize {
    const EACH: u64 = u64::MAX / 0xff;
    let (words, rest) = text.as_bytes().as_chunks();
    for (word, start) in words.iter().zip((0..).step_by(8)) {
        // The lowest byte that is zero gets the lowest mark.
        let word = u64::from_le_bytes(*word) ^ (EACH * u64::from(byte));
        let marks = word.wrapping_sub(EACH) & !word & (EACH * 0x80);
        if marks != 0 {
            return start + (marks.trailing_zeros() / 8) as usize;
        }
    }
    let in_rest = rest.iter().position(|&other| other == byte);
    text.len() - rest.len() + in_rest.unwrap_or(rest.len())
}

/// Returns `text` without the byte-order mark that some programs write before UTF-8, where it means nothing.
pub(super) fn without_byte_order_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// Returns the name of a JSON value's type, with its article.
pub(super) fn kind_of(value: &serde_json::Value) -> &'static str {
    use serde_json::Value;
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Returns the error of a text that is not a JSON object.
pub(super) fn why_no_object(json: &[u8]) -> String {
    match serde_json::from_slice::<serde_json::Value>(json) {
        Ok(value) => format!("is {}, must be an object", kind_of(&value)),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            format!("is no JSON at line {line}, column {column}; must be a JSON object")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn percent_encoding_is_undone(text in "[^\\p{Cc}]{1,30}") {
            let escaped: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
            prop_assert_eq!(decode(&escaped).expect("well-formed"), text);
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = decode(&text);
        }

        #[test]
        fn a_byte_is_found_at_its_place(text in "[a=&\x7f\x00<>ü]{0,40}") {
            let expected = text.find('=').unwrap_or(text.len());
            prop_assert_eq!(place_of(b'=', &text), expected);
        }

        #[test]
        fn pairs_are_what_splitting_says(form in "[a=&%ü]{0,20}") {
            let expected: Vec<_> = form
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .collect();
            prop_assert_eq!(pairs(&form).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_broken_escape_is_not_guessed() {
        for broken in ["%", "a%4", "%+1", "%zz"] {
            assert_eq!(decode(broken), Err(BROKEN_ESCAPE), "{broken}");
        }
        assert_eq!(decode("%ff"), Err(NOT_UTF8));
        assert_eq!(decode("a+%2B"), Ok("a +".into()));
        assert_eq!(decode_segment("a+%2B%20%2f"), Ok("a++ /".into()));
        assert_eq!(decode_segment("a%"), Err(BROKEN_ESCAPE));
    }

    #[test]
    fn an_error_names_the_type_of_a_document_that_is_no_object() {
        for (json, wrong) in [
            ("[1]", "is an array, must be an object"),
            ("null", "is null, must be an object"),
            ("\"a\"", "is a string, must be an object"),
            ("1.5", "is a number, must be an object"),
            ("true", "is a boolean, must be an object"),
            (
                "{\n]",
                "is no JSON at line 2, column 1; must be a JSON object",
            ),
        ] {
            assert_eq!(why_no_object(json.as_bytes()), wrong, "{json}");
        }
    }
}
