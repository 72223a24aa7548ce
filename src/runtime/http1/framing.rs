//! The framing of requests. A head that two servers in a row could read differently is refused.
//!
//! Hyper 1.12 still accepts a line without a carriage return, an equal length twice or with zeros in front, a length
//! beside a transfer coding, other codings before `chunked`, and a missing or repeated host; a proxy in front may read
//! such a request as one of another length, and then its rest is a request that the proxy has not checked. So heads are
//! validated here first, but only as far as they decide where a request ends and whom it is for: the rest of the grammar,
//! and transfer codings under HTTP/1.0, are hyper's to refuse.

use memchr::memchr;

use super::known_fields::KnownFields;
use crate::limits::HEAD_BYTES_MAX;

/// The most digits of a `Content-Length`, which any integer of 64 bits can hold.
const LENGTH_DIGITS_MAX: usize = 18;

/// The end of a request line of HTTP/1.0.
const HTTP_10: &[u8] = b" HTTP/1.0";

/// The body that follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    /// A body of this many bytes.
    Length(u64),
    /// A chunked body, which ends with an empty line.
    Chunked,
}

/// The reason why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is ambiguous where the request ends or whom it is for.
    Framing,
    /// The request line alone is too long.
    TargetTooLong,
    /// The head is too long.
    HeadTooLong,
}

/// The result of validating the bytes of a head so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadStatus {
    /// More bytes are needed.
    Incomplete,
    /// The head has this many bytes, and is followed by this body.
    Complete(usize, BodyFraming),
    /// The head is refused, and no byte behind it can be trusted.
    Refused(Refusal),
}

/// Validates one head after the other. Each may arrive in pieces.
#[derive(Debug, Default)]
pub struct HeadValidator {
    known: KnownFields,
    /// The start of the first line that was not validated yet.
    line_start: usize,
    has_request_line: bool,
    /// The end of the request line, once it was validated.
    fields_start: usize,
    is_http_10: bool,
    hosts: u32,
    length: Option<u64>,
    is_chunked: bool,
}

impl HeadValidator {
    /// Validates `bytes`, which are all bytes from the beginning of the head on. After a complete head the next one is
    /// expected.
    pub fn validate(&mut self, bytes: &[u8]) -> HeadStatus {
        if self.line_start == 0
            && let Some(complete) = self.repeated(bytes)
        {
            return complete;
        }
        let status = self.validate_lines(bytes);
        if let HeadStatus::Complete(length, body) = status {
            // Without a host they would be no fields for HTTP/1.1.
            if !self.is_http_10 {
                self.known.keep(&bytes[self.fields_start..length], body);
            }
            *self = Self {
                known: std::mem::take(&mut self.known),
                ..Self::default()
            };
        }
        status
    }

    /// Returns the status of a head that has the fields of the last complete one; `None` when it may have others. The
    /// status depends on nothing else than these and the version.
    fn repeated(&self, bytes: &[u8]) -> Option<HeadStatus> {
        let end = memchr(b'\n', bytes)? + 1;
        let (line, fields) = bytes.split_at(end);
        let (length, body) = self.known.at_start_of(fields)?;
        let line = line.strip_suffix(b"\r\n")?;
        let is_request_line = begins(*line.first()?) && !line.ends_with(HTTP_10);
        let is_allowed = is_request_line && end + length <= HEAD_BYTES_MAX;
        is_allowed.then_some(HeadStatus::Complete(end + length, body))
    }

    fn validate_lines(&mut self, bytes: &[u8]) -> HeadStatus {
        while let Some(length) = memchr(b'\n', &bytes[self.line_start..]) {
            let line = &bytes[self.line_start..self.line_start + length];
            self.line_start += length + 1;
            if self.line_start > HEAD_BYTES_MAX {
                return HeadStatus::Refused(self.too_long());
            }
            let Some(line) = line.strip_suffix(b"\r") else {
                return HeadStatus::Refused(Refusal::Framing);
            };
            if line.is_empty() && self.has_request_line {
                return self.conclude();
            }
            if self.take_line(line).is_none() {
                return HeadStatus::Refused(Refusal::Framing);
            }
        }
        let is_request = bytes
            .get(self.line_start)
            .is_none_or(|&first| begins(first));
        if !self.has_request_line && !is_request {
            HeadStatus::Refused(Refusal::Framing)
        } else if bytes.len() >= HEAD_BYTES_MAX {
            HeadStatus::Refused(self.too_long())
        } else {
            HeadStatus::Incomplete
        }
    }

    fn too_long(&self) -> Refusal {
        match self.has_request_line {
            true => Refusal::HeadTooLong,
            false => Refusal::TargetTooLong,
        }
    }

    /// Validates a line, without its end; `None` when it must be refused.
    fn take_line(&mut self, line: &[u8]) -> Option<()> {
        if !self.has_request_line {
            // Empty lines before a request are skipped.
            let Some(&first) = line.first() else {
                return Some(());
            };
            self.has_request_line = true;
            self.fields_start = self.line_start;
            self.is_http_10 = line.ends_with(HTTP_10);
            return begins(first).then_some(());
        }
        // Other lines do not matter here.
        match line.first()? | 0x20 {
            b'h' if let Some(value) = field(line, b"host") => self.take_host(value),
            b'c' if let Some(value) = field(line, b"content-length") => self.take_length(value),
            b't' if let Some(value) = field(line, b"transfer-encoding") => self.take_coding(value),
            _ => Some(()),
        }
    }

    fn take_host(&mut self, value: &[u8]) -> Option<()> {
        self.hosts += 1;
        trim_spaces(value)
            .iter()
            .all(|&byte| HOST_BYTES[usize::from(byte)])
            .then_some(())
    }

    fn take_length(&mut self, value: &[u8]) -> Option<()> {
        let digits = trim_spaces(value);
        let is_number = (1..=LENGTH_DIGITS_MAX).contains(&digits.len())
            && digits.iter().all(u8::is_ascii_digit)
            // Some servers read it as octal.
            && (digits.len() == 1 || digits[0] != b'0');
        if !is_number || self.length.is_some() {
            return None;
        }
        let number = digits
            .iter()
            .fold(0, |number, &digit| number * 10 + u64::from(digit - b'0'));
        self.length = Some(number);
        Some(())
    }

    fn take_coding(&mut self, value: &[u8]) -> Option<()> {
        let is_second = std::mem::replace(&mut self.is_chunked, true);
        let is_known = trim_spaces(value).eq_ignore_ascii_case(b"chunked");
        (is_known && !is_second).then_some(())
    }

    fn conclude(&self) -> HeadStatus {
        let is_for_one_host = self.hosts == 1 || (self.hosts == 0 && self.is_http_10);
        match (self.length, self.is_chunked) {
            _ if !is_for_one_host => HeadStatus::Refused(Refusal::Framing),
            (Some(_), true) => HeadStatus::Refused(Refusal::Framing),
            (None, true) => HeadStatus::Complete(self.line_start, BodyFraming::Chunked),
            (length, false) => HeadStatus::Complete(
                self.line_start,
                BodyFraming::Length(length.unwrap_or_default()),
            ),
        }
    }
}

/// Whether a request may begin with this byte: with a method, or an empty line.
fn begins(first: u8) -> bool {
    first.is_ascii_alphabetic() || first == b'\r'
}

/// Returns the value of the field `name`, which is in lower case; `None` when the line is of another field. Hyper
/// refuses space before the colon.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (given, value) = line.split_at_checked(name.len())?;
    given
        .eq_ignore_ascii_case(name)
        .then(|| value.strip_prefix(b":"))?
}

/// Removes the spaces around a value. Tabs are allowed, too, but not all servers know that.
fn trim_spaces(mut value: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] | [rest @ .., b' '] = value {
        value = rest;
    }
    value
}

/// The bytes that may stand in a host with its port.
static HOST_BYTES: [bool; 256] = {
    let others = b"-._~%!$&'()*+,;=:[]";
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut index = 0;
    while index < others.len() {
        table[others[index] as usize] = true;
        index += 1;
    }
    table
};

/// Finds the empty lines in a chunked body, which ends with one; its data may contain others.
#[derive(Debug, Default)]
pub struct EmptyLineFinder {
    /// How many bytes of a line's end and an empty line were matched last.
    matched: usize,
}

impl EmptyLineFinder {
    /// Returns the length of `bytes` up to the end of the first empty line, or of all of them when there is none. They
    /// must follow the bytes of the call before.
    pub fn up_to_next(&mut self, bytes: &[u8]) -> usize {
        const END: [u8; 4] = *b"\r\n\r\n";
        for (index, &byte) in bytes.iter().enumerate() {
            self.matched = match byte {
                byte if byte == END[self.matched] => self.matched + 1,
                b'\r' => 1,
                _ => 0,
            };
            if self.matched == END.len() {
                self.matched = 0;
                return index + 1;
            }
        }
        bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn validated(head: &str) -> HeadStatus {
        HeadValidator::default().validate(head.as_bytes())
    }

    /// Validates a head with these lines behind `Host`.
    fn with(lines: &str) -> HeadStatus {
        validated(&format!(
            "POST /purchase HTTP/1.1\r\nHost: a\r\n{lines}\r\n"
        ))
    }

    fn body_of(status: HeadStatus) -> Option<BodyFraming> {
        match status {
            HeadStatus::Complete(_, body) => Some(body),
            HeadStatus::Incomplete | HeadStatus::Refused(_) => None,
        }
    }

    const REFUSED: HeadStatus = HeadStatus::Refused(Refusal::Framing);

    #[test]
    fn a_length_or_chunks_follow() {
        assert_eq!(body_of(with("")), Some(BodyFraming::Length(0)));
        for (lines, body) in [
            ("Content-Length: 0\r\n", BodyFraming::Length(0)),
            ("content-length:  17 \r\n", BodyFraming::Length(17)),
            (
                "CONTENT-LENGTH:999999999999999999\r\n",
                BodyFraming::Length(999_999_999_999_999_999),
            ),
            ("Transfer-Encoding: chunked\r\n", BodyFraming::Chunked),
            ("transfer-encoding:Chunked \r\n", BodyFraming::Chunked),
            (
                "Content-Lengths: 5, 6\r\nTransfer: x\r\n",
                BodyFraming::Length(0),
            ),
        ] {
            assert_eq!(body_of(with(lines)), Some(body), "{lines:?}");
        }
    }

    #[test]
    fn ambiguous_framing_is_refused() {
        for lines in [
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: 05\r\n",
            "Content-Length:\t5\r\n",
            "Content-Length:\r\n",
            "Content-Length: 1000000000000000000\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding:\tchunked\r\n",
            "Transfer-Encoding: \x0bchunked\r\n",
            "Host: b\r\n",
            "X: a\nY: b\r\n",
        ] {
            assert_eq!(with(lines), REFUSED, "{lines:?}");
        }
    }

    #[test]
    fn a_request_is_for_one_host() {
        assert_eq!(validated("GET / HTTP/1.1\r\n\r\n"), REFUSED);
        assert_eq!(validated("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), REFUSED);
        assert_eq!(validated("GET / HTTP/1.1\r\nHost: a@b/\r\n\r\n"), REFUSED);
        for head in [
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost:\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: [::1]:80\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nhost: a.example\r\n\r\n",
        ] {
            let whole = HeadStatus::Complete(head.len(), BodyFraming::Length(0));
            assert_eq!(validated(head), whole, "{head:?}");
        }
    }

    #[test]
    fn bytes_that_begin_no_request_are_refused_at_once() {
        for bytes in ["\0", " GET", "\x16\x03\x01", "\n", "{}"] {
            assert_eq!(validated(bytes), REFUSED, "{bytes:?}");
        }
        assert_eq!(validated(""), HeadStatus::Incomplete);
        assert_eq!(validated("\r"), HeadStatus::Incomplete);
    }

    #[test]
    fn a_head_is_bounded() {
        let target = format!("GET /{}", "x".repeat(HEAD_BYTES_MAX));
        assert_eq!(
            validated(&target),
            HeadStatus::Refused(Refusal::TargetTooLong)
        );
        let head = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nx: {}",
            "x".repeat(HEAD_BYTES_MAX)
        );
        let too_long = HeadStatus::Refused(Refusal::HeadTooLong);
        assert_eq!(validated(&head), too_long);
        assert_eq!(validated(&format!("{head}\r\n\r\n")), too_long);
        assert_eq!(
            validated(&head[..HEAD_BYTES_MAX - 1]),
            HeadStatus::Incomplete
        );
    }

    #[test]
    fn empty_lines_are_found_across_pieces() {
        let mut lines = EmptyLineFinder::default();
        assert_eq!(lines.up_to_next(b"5\r\nab\r\r\n"), 8);
        assert_eq!(lines.up_to_next(b"0\r\n\r"), 4);
        assert_eq!(lines.up_to_next(b"\nGET"), 1);
        assert_eq!(lines.up_to_next(b"\r\n\r\n\r\n"), 4);
    }

    proptest! {
        /// The status does not depend on the heads before.
        #[test]
        fn a_head_is_validated_alike_behind_any_other(
            fields in proptest::collection::vec(prop_oneof![
                Just("Host: a\r\n"), Just("Host: b\r\n\r\n"), Just("X: y\r\n"), Just("Content-Length: 5\r\n"), Just("\r\n"),
            ], 0..4),
            cut in 0..80_usize,
            lines in [0..5_usize, 0..5_usize],
        ) {
            let lines = lines.map(|line| {
                ["GET / HTTP/1.1\r\n", "GET / HTTP/1.0\r\n", "\r\nPOST /a HTTP/1.1\r\n", "GET / HTTP/1.1\n", " / HTTP/1.1\r\n"][line]
            });
            let fields = fields.concat() + "\r\n";
            let mut validator = HeadValidator::default();
            let first = format!("{}{fields}", lines[0]);
            let is_complete = body_of(validator.validate(first.as_bytes())).is_some();
            prop_assume!(is_complete);
            // The same fields, and a part of them.
            for fields in [&fields, &fields[..cut.min(fields.len())]] {
                let next = format!("{}{fields}", lines[1]);
                let status = validator.validate(next.as_bytes());
                prop_assert_eq!(status, validated(&next));
                if body_of(status).is_none() {
                    break;
                }
            }
        }

        /// The status does not depend on the pieces in which a head arrives.
        #[test]
        fn pieces_do_not_matter(
            lines in proptest::collection::vec(prop_oneof![
                Just("Content-Length: 5\r\n"), Just("Transfer-Encoding: chunked\r\n"),
                Just("Host: a\r\n"), Just("X: y\r\n"), Just("X: \n\r\n"), Just("\r\n"),
            ], 0..6),
            cut in 0..120_usize,
        ) {
            let head = format!("POST / HTTP/1.1\r\n{}\r\n", lines.concat());
            let mut validator = HeadValidator::default();
            let early = validator.validate(&head.as_bytes()[..cut.min(head.len())]);
            let status = match early {
                HeadStatus::Incomplete => validator.validate(head.as_bytes()),
                early => early,
            };
            prop_assert_eq!(status, validated(&head));
        }
    }
}
