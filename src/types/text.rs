//! Texts without control characters.

use std::borrow::Cow;

use super::Malformed;

/// The error of a text with a control character.
pub(crate) const CONTROL: Malformed = Malformed("must not contain control characters");

/// A text without control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlainText<'a>(Cow<'a, str>);

impl<'a> PlainText<'a> {
    /// Checks `text`.
    ///
    /// # Errors
    /// Says what is allowed when `text` has a control character.
    pub fn new(text: Cow<'a, str>) -> Result<Self, Malformed> {
        match has_control(&text) {
            true => Err(CONTROL),
            false => Ok(Self(text)),
        }
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns whether `text` contains a control character.
#[must_use]
pub fn has_control(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(last) = bytes.last_chunk() else {
        let is_printable = |byte: &u8| matches!(byte, b' '..=b'~');
        return !bytes.iter().all(is_printable) && text.chars().any(char::is_control);
    };
    // Eight bytes at a time, the last of which overlap with those before. Text is decoded only where it is not ASCII.
    let mut found = AsciiWord::of(last);
    for word in bytes.as_chunks().0 {
        let word = AsciiWord::of(word);
        found.controls |= word.controls;
        found.beyond |= word.beyond;
    }
    found.controls != 0 || found.beyond != 0 && text.chars().any(char::is_control)
}

/// Eight bytes of a text. The highest bit of each byte of a field is a mark.
struct AsciiWord {
    /// The bytes that are control characters.
    controls: u64,
    /// The bytes that are not ASCII.
    beyond: u64,
}

impl AsciiWord {
    fn of(bytes: &[u8; 8]) -> Self {
        const EACH: u64 = u64::MAX / 0xff;
        const HIGHEST: u64 = EACH * 0x80;
        let word = u64::from_le_bytes(*bytes);
        let low = word & !HIGHEST;
        // Neither sum goes beyond its byte.
        let (is_printable_or_del, is_del) = (low + EACH * 0x60, low + EACH);
        Self {
            controls: (!is_printable_or_del | is_del) & !word & HIGHEST,
            beyond: word & HIGHEST,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_those_of_unicode() {
        for c in (0..0x3000).filter_map(char::from_u32) {
            assert_eq!(has_control(&format!("a{c}")), c.is_control(), "{c:?}");
        }
    }

    #[test]
    fn control_characters_are_found_at_every_place() {
        for length in 0..40 {
            let plain = " ~".repeat(20)[..length].to_owned();
            assert!(!has_control(&plain), "{length}");
            for place in 0..=length {
                for (c, is_control) in [
                    ('\0', true),
                    ('\x1f', true),
                    ('\x7f', true),
                    ('\u{80}', true),
                    ('\u{a0}', false),
                ] {
                    let mut text = plain.clone();
                    text.insert(place, c);
                    assert_eq!(
                        has_control(&text),
                        is_control,
                        "{c:?} at {place} of {length}"
                    );
                }
            }
        }
    }
}
