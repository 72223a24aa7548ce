//! A disk for work in the background, which reads and writes at the pace of a [`Pacer`].

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::pacer::Pacer;
use crate::env::{Disk, DiskFile, FileId, OpenMode};

/// A disk that is used in small pieces, with a pause behind each. Nobody may hold a lock while using it that a worker may
/// want.
#[derive(Clone)]
pub struct PacedDisk {
    disk: Arc<dyn Disk>,
    pacer: Arc<Pacer>,
}

impl PacedDisk {
    /// Creates a disk that is `disk` at the pace of `pacer`.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, pacer: Arc<Pacer>) -> Self {
        Self { disk, pacer }
    }

    /// Begins a new work: see [`Pacer::begin`].
    pub fn begin(&self) {
        self.pacer.begin();
    }

    fn paced(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        let pacer = Arc::clone(&self.pacer);
        Box::new(PacedFile { file, pacer })
    }
}

struct PacedFile {
    file: Box<dyn DiskFile>,
    pacer: Arc<Pacer>,
}

impl Disk for PacedDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn list_irregular(&self, dir: &Path) -> io::Result<Vec<(String, &'static str)>> {
        self.disk.list_irregular(dir)
    }

    fn id_of(&self, path: &Path) -> io::Result<FileId> {
        self.disk.id_of(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.paced(self.disk.open(path, mode)?))
    }

    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    /// Removes a file. The disk has to forget all that was in it.
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)?;
        self.pacer.note_piece();
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)?;
        self.pacer.note_piece();
        Ok(())
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskFile>>> {
        self.disk.try_lock(path)
    }
}

impl DiskFile for PacedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(buf, offset)?;
        self.pacer.note_bytes(read as u64);
        Ok(read)
    }

    fn read_into(&self, buffer: &mut Vec<u8>, offset: u64, length: usize) -> io::Result<()> {
        self.file.read_into(buffer, offset, length)?;
        self.pacer.note_bytes(buffer.len() as u64);
        Ok(())
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.pacer.write_at(&*self.file, buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()?;
        self.pacer.note_piece();
        Ok(())
    }

    fn write_out(&self, offset: u64, length: u64) -> io::Result<()> {
        self.file.write_out(offset, length)
    }

    fn unit_bytes(&self) -> Option<u32> {
        self.file.unit_bytes()
    }

    fn length_bytes(&self) -> io::Result<u64> {
        self.file.length_bytes()
    }

    fn id(&self) -> io::Result<FileId> {
        self.file.id()
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }

    fn unlock(&self) -> io::Result<()> {
        self.file.unlock()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::env::{Clock, ManualClock, SeededEntropy, SimulatedDisk, SystemClock};
    use crate::journal::frame::FrameAlign;
    use crate::journal::pacer::Haste;
    use crate::journal::record_file::RecordFileWriter;
    use crate::journal::segment::SegmentHeader;
    use crate::journal::{Durability, Journal, JournalError, Opening, Options, Tools};
    use crate::record::Record;
    use crate::types::{Lsn, SaleId, Timestamp};

    /// A disk that pauses behind each piece, and notes only that it did.
    fn paced(disk: &SimulatedDisk) -> PacedDisk {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let passing = Arc::clone(&clock);
        let haste = move || {
            passing.advance_us(1);
            Haste::Yielding
        };
        let pacer = Pacer::new(clock, haste, |_| (), Duration::MAX);
        PacedDisk::new(Arc::new(disk.clone()), Arc::new(pacer))
    }

    fn write_file(disk: &dyn Disk, path: &Path) -> Result<(), JournalError> {
        let header = SegmentHeader {
            number: 1,
            seed: 7,
            length_bytes: 0,
            created_at: Timestamp(0),
            align: FrameAlign::NARROW,
        };
        let mut writer = RecordFileWriter::create(disk, path.to_owned(), header)?;
        for sale in 0..100_000 {
            let sale = SaleId(sale);
            writer.push(Timestamp(0), &Record::SaleClosed { sale })?;
        }
        writer.finish()
    }

    #[test]
    fn a_paced_file_is_byte_for_byte_the_one_of_full_speed() {
        let [fast, slow] = [SimulatedDisk::new(), SimulatedDisk::new()];
        let path = Path::new("journal/1.snapshot");
        write_file(&fast, path).expect("room");
        write_file(&paced(&slow), path).expect("room");
        let bytes = fast.contents(path).expect("it is there");
        assert!(bytes.len() > 1024 * 1024, "more than one frame");
        assert_eq!(Some(bytes), slow.contents(path));
    }

    #[test]
    fn a_paced_file_that_fails_between_its_pieces_leaves_nothing() {
        for writes in [0, 1, 3, 5] {
            let disk = SimulatedDisk::new();
            disk.fail_write_after(writes);
            let failed = write_file(&paced(&disk), Path::new("journal/1.snapshot"));
            failed.expect_err("a write fails");
            assert_eq!(disk.paths(), Vec::<std::path::PathBuf>::new());
        }
    }

    #[test]
    fn a_stop_does_not_wait_for_a_pause() {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new());
        let opening = Opening::lock(disk, Path::new("journal")).expect("free");
        let replayed = opening.replay(Lsn::ZERO, &mut |_| Ok(())).expect("intact");
        let tools = Tools {
            clock,
            entropy: Arc::new(SeededEntropy::new(1)),
            fail_stop: Box::new(|error| panic!("{error}")),
        };
        let options = Options {
            durability: Durability::Fsync,
            segment_bytes: 64 * 1024,
        };
        let journal: Journal = opening.start(&replayed, &options, tools).expect("room");
        assert_eq!(journal.shared().haste(), Haste::Calm);
        let shared = Arc::clone(journal.shared());
        let (ended, end) = channel();
        thread::spawn(move || {
            shared.pause(Duration::from_secs(86_400));
            let _ = ended.send(shared.haste());
        });
        journal.close();
        let haste = end.recv_timeout(Duration::from_secs(60));
        assert_eq!(haste, Ok(Haste::Urgent), "the pause has ended");
    }
}
