//! The two encodings of parameters: forms (and queries), and JSON objects.

use std::borrow::Cow;

use crate::types::Malformed;

const BROKEN_ESCAPE: Malformed = Malformed("has a broken percent-encoding");
const NOT_UTF8: Malformed = Malformed("must be UTF-8");

/// Undoes the encoding of a form or query: `%XX`, and `+` for a space.
pub(super) fn decode(text: &[u8]) -> Result<Cow<'_, str>, Malformed> {
    if !text.iter().any(|&b| matches!(b, b'%' | b'+')) {
        return std::str::from_utf8(text)
            .map(Cow::Borrowed)
            .map_err(|_| NOT_UTF8);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
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
    String::from_utf8(decoded)
        .map(Cow::Owned)
        .map_err(|_| NOT_UTF8)
}

/// The members of a JSON object in their order. Unlike a map it keeps a name that comes twice.
pub(super) struct Members(pub(super) Vec<(String, serde_json::Value)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A>(self, mut map: A) -> Result<Members, A::Error>
            where
                A: serde::de::MapAccess<'de>,
            {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Visitor)
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
            prop_assert_eq!(decode(escaped.as_bytes()).expect("well-formed"), text);
        }

        #[test]
        fn no_bytes_panic(text in any::<Vec<u8>>()) {
            let _ = decode(&text);
        }
    }

    #[test]
    fn a_broken_escape_is_not_guessed() {
        for broken in ["%", "a%4", "%+1", "%zz"] {
            assert_eq!(decode(broken.as_bytes()), Err(BROKEN_ESCAPE), "{broken}");
        }
        assert_eq!(decode(b"%ff"), Err(NOT_UTF8));
        assert_eq!(decode(b"a+%2B"), Ok("a +".into()));
    }

    #[test]
    fn a_name_that_comes_twice_is_kept() {
        let Members(members) = serde_json::from_str(r#"{"a":1,"a":2}"#).expect("an object");
        assert_eq!(members.len(), 2);
        assert!(serde_json::from_str::<Members>("[]").is_err());
    }
}
