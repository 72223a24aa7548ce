//! The fields of a connection's last head: most clients repeat them, and what was validated once is so for good.

use super::framing::BodyFraming;
use crate::limits::KNOWN_FIELDS_BYTES_MAX;

/// The fields of the last head that was complete, and the body that they say follows.
#[derive(Debug)]
pub(super) struct KnownFields {
    /// With the empty line behind them; empty where none are known.
    bytes: Vec<u8>,
    body: BodyFraming,
}

impl Default for KnownFields {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            body: BodyFraming::Length(0),
        }
    }
}

impl KnownFields {
    /// Returns the length of the known fields, and their body, when `bytes` begin with them.
    pub(super) fn at_start_of(&self, bytes: &[u8]) -> Option<(usize, BodyFraming)> {
        let begin = !self.bytes.is_empty() && bytes.starts_with(&self.bytes);
        begin.then_some((self.bytes.len(), self.body))
    }

    /// Keeps the fields of a valid head, to its end, in place of those before. Long ones are not kept.
    pub(super) fn keep(&mut self, fields: &[u8], body: BodyFraming) {
        self.bytes.clear();
        if fields.len() <= KNOWN_FIELDS_BYTES_MAX {
            self.bytes.extend_from_slice(fields);
            self.body = body;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_fields_are_known_unless_they_are_long() {
        let mut known = KnownFields::default();
        assert_eq!(known.at_start_of(b""), None);
        let (first, second) = (b"Host: a\r\n\r\n", b"Host: b\r\n\r\n");
        known.keep(first, BodyFraming::Length(3));
        let found = Some((first.len(), BodyFraming::Length(3)));
        assert_eq!(known.at_start_of(b"Host: a\r\n\r\nabc"), found);
        assert_eq!(known.at_start_of(&first[..first.len() - 1]), None);
        known.keep(second, BodyFraming::Chunked);
        assert_eq!(known.at_start_of(first), None);
        assert!(known.at_start_of(second).is_some());
        known.keep(&[b'x'; KNOWN_FIELDS_BYTES_MAX + 1], BodyFraming::Chunked);
        assert_eq!(known.at_start_of(second), None);
        assert_eq!(known.at_start_of(b""), None);
    }
}
