//! The thread that keeps the next segment ready, so that the committer never waits for one while
//! there is room on the disk. Once a second it checks that the files which are written to are still those
//! that the journal's path names.

use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::error::JournalError;
use super::frame::FrameAlign;
use super::ownership::Ownership;
use super::pacer::{Haste, Pacer};
use super::segment::{Segment, SegmentHeader};
use super::shared::{Shared, Work};
use crate::env::{Clock, Disk, Entropy};
use crate::limits;

pub(super) struct Preallocator {
    pub(super) shared: Arc<Shared>,
    pub(super) ownership: Arc<Ownership>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) dir: PathBuf,
    pub(super) segment_bytes: u64,
    pub(super) pacer: Pacer,
    pub(super) next_number: u64,
    /// There was no room for the next segment when it was tried last.
    pub(super) is_short: bool,
}

impl Preallocator {
    /// Prepares segments until the journal is closed or fails.
    pub(super) fn run(mut self) {
        loop {
            let wanted = self.shared.wait_for_work();
            self.step(wanted);
            if wanted == Work::Stop || self.shared.has_failed() {
                return;
            }
            if self.is_short {
                self.shared.wait_for_room();
            }
        }
    }

    /// Does one piece of work. An error is the end of the journal.
    pub(super) fn step(&mut self, wanted: Work) {
        let done = match wanted {
            Work::Preallocate => self.prepare(),
            Work::CheckFiles | Work::Stop => Ok(()),
        };
        // Also behind the last commit: what was acknowledged by then must be in the files that the next start reads.
        let done = done.and_then(|()| self.check_open_files());
        if let Err(error) = done {
            self.shared.fail(&error);
        }
    }

    /// Makes the next segment, where there is room for it.
    fn prepare(&mut self) -> Result<(), JournalError> {
        let header = new_header(
            self.next_number,
            self.segment_bytes,
            &*self.clock,
            &*self.entropy,
        );
        self.pacer.begin();
        match Segment::prepare(&*self.disk, &self.dir, header, &self.pacer) {
            Ok(segment) => {
                self.next_number += 1;
                let footprint = &self.shared.footprint;
                footprint.segment_added(self.segment_bytes);
                self.shared.put_prepared(segment);
                if mem::take(&mut self.is_short) {
                    tracing::info!("there is room for the journal again: it takes new work");
                }
            }
            Err(error) if error.is_shortage() => {
                self.is_short = true;
                if self.shared.set_full() {
                    tracing::error!(
                        "{error}; new work is refused when the current segment is full"
                    );
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Checks that the open files are still those that the journal's paths name.
    fn check_open_files(&self) -> Result<(), JournalError> {
        self.ownership.check(&*self.disk)?;
        loop {
            let places = self.shared.open_files()?;
            let checked = places.iter().try_for_each(|place| place.check(&*self.disk));
            // A segment that is no longer written to may have been removed meanwhile, because it is old.
            if checked.is_ok() || self.shared.open_files()? == places {
                return checked;
            }
        }
    }
}

/// Returns the pace at which a segment is prepared: at full speed once half of the room is used that there is before new work
/// would be refused for want of the next.
pub(super) fn pacer(shared: &Arc<Shared>, clock: &Arc<dyn Clock>, segment_bytes: u64) -> Pacer {
    let (asked, pausing) = (Arc::clone(shared), Arc::clone(shared));
    let haste = move || match asked.is_next_needed_soon(segment_bytes) {
        true => Haste::Urgent,
        false => asked.haste(),
    };
    let pause = move |pause| pausing.pause(pause);
    let pauses_max = Duration::from_millis(limits::PACED_PREPARE_MS_MAX);
    Pacer::new(Arc::clone(clock), haste, pause, pauses_max)
}

pub(super) fn new_header(
    number: u64,
    length_bytes: u64,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> SegmentHeader {
    let seed = entropy.bits_128() as u32;
    SegmentHeader {
        number,
        seed,
        length_bytes,
        created_at: clock.now(),
        align: FrameAlign::NARROW,
    }
}
