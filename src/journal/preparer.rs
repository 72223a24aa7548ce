//! The thread that keeps the next segment ready, so that the committer never waits for one while
//! there is room on the disk.

use std::mem;
use std::path::PathBuf;
use std::sync::Arc;

use super::segment::{Segment, SegmentHeader};
use super::shared::Shared;
use crate::env::{Clock, Disk, Entropy};

pub(super) struct Preparer {
    pub(super) shared: Arc<Shared>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) dir: PathBuf,
    pub(super) segment_bytes: u64,
    pub(super) next_number: u64,
}

impl Preparer {
    /// Prepares segments until the journal is closed or fails.
    pub(super) fn run(mut self) {
        let mut is_short = false;
        while self.shared.wait_until_wanted() {
            let header = new_header(
                self.next_number,
                self.segment_bytes,
                &*self.clock,
                &*self.entropy,
            );
            match Segment::prepare(&*self.disk, &self.dir, header) {
                Ok(segment) => {
                    self.next_number += 1;
                    let footprint = &self.shared.footprint;
                    footprint.segment_added(self.segment_bytes);
                    self.shared.put_prepared(segment);
                    if mem::take(&mut is_short) {
                        tracing::info!("there is room for the journal again: it takes new work");
                    }
                }
                Err(error) if error.is_shortage() => {
                    is_short = true;
                    if self.shared.wait_for_room() {
                        tracing::error!(
                            "{error}; new work is refused when the current segment is full"
                        );
                    }
                }
                Err(error) => {
                    self.shared.fail(&error);
                    return;
                }
            }
        }
    }
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
    }
}
