//! Asynchronous writes of a simulated disk.

use std::io;
use std::task::{Context, Poll};

use super::disk::{AsyncWriter, DiskFile};
use super::simulated_disk::SimulatedDisk;
use super::simulated_file::SECTOR_BYTES;

/// A writer whose bytes are on their way until it is asked a second time, or later where writes are delayed. They can be read
/// meanwhile, and at a crash each sector of them is there or not.
pub(super) struct SimulatedWriter {
    disk: SimulatedDisk,
    on_its_way: Option<SimulatedWrite>,
}

struct SimulatedWrite {
    file: Box<dyn DiskFile>,
    begun: io::Result<()>,
    /// How often it is asked for in vain.
    delays: u32,
}

impl SimulatedWriter {
    pub(super) fn new(disk: &SimulatedDisk) -> Self {
        Self {
            disk: disk.clone(),
            on_its_way: None,
        }
    }
}

impl AsyncWriter for SimulatedWriter {
    fn begin(&mut self, file: &dyn DiskFile, bytes: &[u8], offset: u64) -> bool {
        assert!(self.on_its_way.is_none(), "one write at a time");
        let Some(file) = file.id().ok().and_then(|id| self.disk.file(id)) else {
            return false;
        };
        let begun = if self.disk.cuts_short() {
            // A disk writes whole sectors.
            let half = bytes.len() / 2 / SECTOR_BYTES * SECTOR_BYTES;
            let written = file.write_at(&bytes[..half], offset);
            written.and(Err(io::ErrorKind::Interrupted.into()))
        } else {
            file.write_at(bytes, offset)
        };
        self.on_its_way = Some(SimulatedWrite {
            begun,
            file,
            delays: 1 + self.disk.write_delays(),
        });
        true
    }

    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(write) = &mut self.on_its_way else {
            return Poll::Pending;
        };
        let is_delayed = write.delays > 0;
        write.delays = write.delays.saturating_sub(1);
        if is_delayed || self.disk.holds_syncs() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.wait_written())
    }

    fn wait_written(&mut self) -> io::Result<()> {
        let write = self.on_its_way.take().expect("a write was begun");
        write.begun?;
        write.file.sync_data()
    }
}
