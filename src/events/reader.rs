//! Reads events from the files of a journal, a page at a time.

use std::sync::Arc;

use super::filter::EventFilter;
use super::writer::{EventWriter, Unwritten};
use crate::journal::{self, Journal, JournalError, Tail, TailPlace};
use crate::limits::{EVENT_PAGE_BYTES_MAX, EVENT_PAGE_RECORDS_MAX, EVENT_PLACES_MAX};
use crate::record::Entry;
use crate::sale::NotLoaded;
use crate::types::{EventType, Lsn, SaleId};

/// The form of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventForm {
    /// A JSON array, which is a batch of CloudEvents.
    Batch,
    /// A part of an event stream.
    Stream,
}

/// A request for events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventQuery {
    /// The record behind which they begin.
    pub after: Lsn,
    /// The most events.
    pub limit: usize,
    /// The events that are wanted.
    pub filter: EventFilter,
    /// The form that they are wanted in.
    pub form: EventForm,
}

/// Events in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventPage {
    /// The events, in the form that was asked for.
    pub body: Vec<u8>,
    /// Their number.
    pub events: usize,
    /// The record that it goes up to: the next page begins behind it.
    pub last: Lsn,
}

/// Why events cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The journal no longer has those that were asked for.
    Gone {
        /// The first place behind which it has all.
        oldest: Lsn,
    },
    /// The sale whose items the next event names cannot be loaded now.
    Sale(NotLoaded),
    /// The journal cannot be read, as the log says, or is not certain to be on the disk.
    Journal,
}

/// An event in a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventMark {
    pub(super) lsn: Lsn,
    pub(super) kind: EventType,
    pub(super) sale: SaleId,
    /// Where it ends in the body.
    pub(super) end: usize,
}

/// A reader of the events of one journal. It remembers the places of those who read page after page.
pub struct EventReader {
    journal: Arc<Journal>,
    writer: EventWriter,
    syncs: bool,
    /// What was read may be lost in a power cut, although it looks as if it were on the disk.
    disk_failed: bool,
    /// The one that was read at last comes last.
    places: Vec<TailPlace>,
}

impl EventReader {
    /// Creates a reader of the events of `journal`, which `writer` writes down. With `syncs` the journal counts records as
    /// durable that a power cut may take: they are synced before they are told.
    #[must_use]
    pub fn new(journal: Arc<Journal>, writer: EventWriter, syncs: bool) -> Self {
        Self {
            journal,
            writer,
            syncs,
            disk_failed: false,
            places: Vec::new(),
        }
    }

    /// Returns the newest record whose event may be told.
    #[must_use]
    pub fn acknowledged(&self) -> Lsn {
        self.journal.durable()
    }

    /// Reads the events that `query` asks for, of records up to `until`. Looks at a bounded number of records: where none of
    /// them is wanted, the page is empty and goes on all the same.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(&mut self, query: &EventQuery, until: Lsn) -> Result<EventPage, ReadError> {
        self.read_noting(query, until, &mut |_| ())
    }

    /// Reads as [`Self::read`] does, and notes each event.
    pub(super) fn read_noting(
        &mut self,
        query: &EventQuery,
        until: Lsn,
        note: &mut dyn FnMut(EventMark),
    ) -> Result<EventPage, ReadError> {
        // What a start has found on a full disk may be lost yet.
        if self.disk_failed || !self.journal.is_writable() && !self.journal.is_settled() {
            return Err(ReadError::Journal);
        }
        let mut page = PageWriter::new(query, note);
        // A place that records have not come to is none: they may come in another segment.
        if query.after >= until {
            return Ok(page.finish().0);
        }
        let read = self.open(query.after).and_then(|tail| {
            let mut tail = tail.ok_or(Unread::Gone)?;
            self.remember(tail.place());
            let writer = &mut self.writer;
            let read = tail.read(until, &mut |entry| page.take(writer, entry));
            if self.syncs
                && let Err(error) = tail.sync()
            {
                self.disk_failed = true;
                page.discard();
                return Err(error.into());
            }
            read?;
            self.remember(tail.place());
            Ok(())
        });
        let (page, unwritten) = page.finish();
        match (read, unwritten) {
            (Ok(()), Some(error)) if page.events == 0 => Err(error),
            (Ok(()), _) => Ok(page),
            (Err(unread), _) => {
                self.forget_place(query.after.next());
                // What is intact is told, and the next page meets the error.
                match page.events {
                    0 => Err(self.explain(unread, query.after)),
                    _ => Ok(page),
                }
            }
        }
    }

    /// Opens the journal behind `after`; `None` where it no longer has what is there.
    fn open(&mut self, after: Lsn) -> Result<Option<Tail>, Unread> {
        let (disk, dir) = (Arc::clone(self.journal.disk()), self.journal.dir());
        let mut known = self.places.iter();
        if let Some(place) = known.find(|place| place.next() == after.next()) {
            match Tail::at(Arc::clone(&disk), dir, *place) {
                Ok(tail) => return Ok(Some(tail)),
                // Its segment may have been removed, and the journal begin right behind it.
                Err(_) => self.forget_place(after.next()),
            }
        }
        Ok(Tail::after(
            disk,
            self.journal.dir(),
            after,
            self.acknowledged(),
        )?)
    }

    /// Remembers a place, and forgets the one that was read at longest ago.
    fn remember(&mut self, place: TailPlace) {
        self.forget_place(place.next());
        if self.places.len() >= EVENT_PLACES_MAX {
            self.places.remove(0);
        }
        self.places.push(place);
    }

    fn forget_place(&mut self, next: Lsn) {
        self.places.retain(|known| known.next() != next);
    }

    fn explain(&self, unread: Unread, after: Lsn) -> ReadError {
        let held = journal::first_lsn(&**self.journal.disk(), self.journal.dir());
        let oldest = held.map(|first| match first {
            Some(first) => Lsn(first.0.saturating_sub(1)),
            None => self.acknowledged(),
        });
        match (unread, oldest) {
            // Files may be removed under a reader, which meets an error then.
            (_, Ok(oldest)) if oldest > after => ReadError::Gone { oldest },
            (Unread::Gone, Ok(_)) => ReadError::Journal,
            (Unread::Journal(error), _) | (_, Err(error)) => {
                tracing::error!("events cannot be read: {error}");
                ReadError::Journal
            }
        }
    }

    /// Lets go of what it keeps for the next page.
    pub fn forget(&mut self) {
        self.writer.forget();
    }
}

/// Why records were not read.
enum Unread {
    /// They are no longer there.
    Gone,
    /// The journal cannot be read.
    Journal(JournalError),
}

impl From<JournalError> for Unread {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

/// A page that is being written.
struct PageWriter<'q> {
    query: &'q EventQuery,
    note: &'q mut dyn FnMut(EventMark),
    page: EventPage,
    records: usize,
    unwritten: Option<ReadError>,
}

impl<'q> PageWriter<'q> {
    fn new(query: &'q EventQuery, note: &'q mut dyn FnMut(EventMark)) -> Self {
        let body = match query.form {
            EventForm::Batch => vec![b'['],
            EventForm::Stream => Vec::new(),
        };
        Self {
            query,
            note,
            page: EventPage {
                body,
                events: 0,
                last: query.after,
            },
            records: 0,
            unwritten: None,
        }
    }

    /// Writes the event of the next record. Returns false when the page takes no more.
    fn take(&mut self, writer: &mut EventWriter, entry: &Entry<'_>) -> Result<bool, JournalError> {
        let Self { query, page, .. } = self;
        if self.records >= EVENT_PAGE_RECORDS_MAX
            || page.events >= query.limit
            || page.body.len() >= EVENT_PAGE_BYTES_MAX
        {
            return Ok(false);
        }
        let (form, is_first) = (query.form, page.events == 0);
        let begin = |out: &mut Vec<u8>| match form {
            EventForm::Batch if is_first => {}
            EventForm::Batch => out.push(b','),
            EventForm::Stream => {
                out.extend_from_slice(format!("id: {}\ndata: ", entry.lsn).as_bytes());
            }
        };
        match writer.write(entry, &query.filter, &mut page.body, begin) {
            Ok(None) => {}
            Ok(Some((kind, sale))) => {
                if form == EventForm::Stream {
                    page.body.extend_from_slice(b"\n\n");
                }
                page.events += 1;
                (self.note)(EventMark {
                    lsn: entry.lsn,
                    kind,
                    sale,
                    end: page.body.len(),
                });
            }
            Err(Unwritten::Undecodable(error)) => return Err(error.into()),
            Err(Unwritten::Sale(error)) => {
                self.unwritten = Some(ReadError::Sale(error));
                return Ok(false);
            }
        }
        self.records += 1;
        self.page.last = entry.lsn;
        Ok(true)
    }

    /// Takes nothing of what it has.
    fn discard(&mut self) {
        self.page.events = 0;
    }

    fn finish(mut self) -> (EventPage, Option<ReadError>) {
        if self.query.form == EventForm::Batch {
            self.page.body.push(b']');
        }
        (self.page, self.unwritten)
    }
}
