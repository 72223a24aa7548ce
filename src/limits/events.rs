//! The bounds of events and webhooks.

use super::SINK_APPLY_SECONDS;

/// Longest time that a request for events may wait for one, in seconds.
pub const EVENT_WAIT_SECONDS_MAX: u32 = 30;
/// Requests for events that may wait or be read at once.
pub const EVENT_REQUESTS_MAX: usize = 256;
/// Streams of events that may be open at once.
pub const EVENT_STREAMS_MAX: usize = 256;
/// Bytes after which a page of events, or a piece of a stream of them, takes no more.
pub const EVENT_PAGE_BYTES_MAX: usize = 512 * 1024;
/// Most records that are looked at for one page of events.
pub const EVENT_PAGE_RECORDS_MAX: usize = 200_000;
/// Most events of one piece of a stream.
pub const EVENT_PIECE_EVENTS_MAX: usize = 2_000;
/// Places in the journal's files that are remembered for those who read events page after page.
pub const EVENT_PLACES_MAX: usize = 512;
/// Milliseconds between two looks at the journal for those who wait for events.
pub const EVENT_TICK_MS: u64 = 25;

/// Most webhooks.
pub const WEBHOOKS_MAX: usize = 16;
/// Most events of one message to a webhook.
pub const WEBHOOK_EVENTS_MAX: usize = 100;
/// Bytes after which such a message takes no more events.
pub const WEBHOOK_BYTES_MAX: usize = 256 * 1024;
/// Seconds for a webhook to answer.
pub const WEBHOOK_SECONDS_MAX: u64 = 15;
/// Seconds for a connection to one of its addresses.
pub const WEBHOOK_CONNECT_SECONDS: u64 = 5;
/// Longest answer of it behind which the connection is kept, in bytes.
pub const WEBHOOK_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Milliseconds between two looks at the journal for a webhook.
pub const WEBHOOK_PACE_MS: u64 = 100;
/// Milliseconds between two times that its place is written down: so much may be sent again after a crash.
pub const WEBHOOK_PLACE_MS: u64 = 1_000;
/// Longest file of a place, in bytes.
pub const WEBHOOK_PLACE_BYTES_MAX: usize = 1024;
/// Seconds to the second attempt after a webhook has failed, about.
pub const WEBHOOK_RETRY_SECONDS_MIN: u64 = 1;
/// Most seconds between two attempts, unless it wants a longer pause.
pub const WEBHOOK_RETRY_SECONDS_MAX: u64 = 60;
/// Longest pause that a webhook gets for the asking, in seconds.
pub const WEBHOOK_PAUSE_SECONDS_MAX: u64 = 3_600;

const _: () = {
    assert!(EVENT_TICK_MS < 1000 && EVENT_REQUESTS_MAX <= EVENT_PLACES_MAX);
    assert!(WEBHOOK_SECONDS_MAX < SINK_APPLY_SECONDS);
};
