//! Events: what the journal tells shops, in its order and without gaps, as CloudEvents.
//!
//! An [`EventFeed`] reads them straight from the journal's files, on one thread for all readers: pages for those who ask,
//! and streams for those who stay. Which record tells what is said in one place, `event`.
//!
//! **Invariants.** Nothing is told that is not acknowledged, and nothing of it is left out: a reader gets every event behind
//! its place, or hears that the journal no longer has them. Readers cost those who sell nothing but the reading: nobody
//! wakes the feed, it looks by itself while somebody reads, and steps back behind all other threads. What it keeps for a
//! reader is bounded: the reader's place and one piece.

mod event;
mod feed;
mod feeder;
mod filter;
mod reader;
mod sales;
mod source;
mod subscriber;
mod writer;

pub use feed::{EventFeed, FeedError};
pub use filter::EventFilter;
pub use reader::{EventForm, EventPage, EventQuery, EventReader, ReadError};
pub use sales::EventSales;
pub use source::EventSource;
pub use subscriber::EventSubscriber;
pub use writer::{EventWriter, Unwritten};

#[cfg(test)]
mod tests;
