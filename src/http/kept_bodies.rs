//! The bodies of errors that are the same for everyone, each of which a worker writes once.

use std::cell::RefCell;
use std::ptr;

use hyper::body::Bytes;

use super::json;
use crate::telemetry::Outcome;

/// Returns the body of an error that consists of its outcome and message. It is `write` that appends it the first time.
pub(super) fn of_error(
    outcome: Outcome,
    message: &'static str,
    write: impl FnOnce(&mut Vec<u8>),
) -> Bytes {
    thread_local! {
        /// The body of each outcome, with its message. Where an outcome has several messages, the last one is kept.
        static BODIES: RefCell<[(&'static str, Bytes); Outcome::ALL.len()]> =
            const { RefCell::new([const { ("", Bytes::new()) }; Outcome::ALL.len()]) };
    }
    BODIES.with_borrow_mut(|bodies| {
        let (known, body) = &mut bodies[outcome as usize];
        if !ptr::eq(*known, message) {
            (*known, *body) = (message, json::body(write));
        }
        body.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_written_once_for_each_message() {
        let mut written = 0;
        let mut body = |message: &'static str| {
            of_error(Outcome::SaleNotFound, message, |out| {
                written += 1;
                out.extend_from_slice(message.as_bytes());
            })
        };
        assert_eq!(body("one"), "one");
        assert_eq!(body("one"), "one");
        assert_eq!(body("another"), "another");
        assert_eq!(body("one"), "one");
        assert_eq!(written, 3);
    }
}
