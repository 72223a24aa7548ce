//! The file that batches are written to, and the techniques of a durable write.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use clap::ValueEnum;
use flashsale::env::{AsyncWriter, Disk, DiskFile, OpenMode, RealDisk};
use rustix::fs::OFlags;
use rustix::io::{Errno, ReadWriteFlags, pwritev2};

use super::aligned::{ALIGNMENT, AlignedBuffer};

/// Bytes of the file: as long as a segment of the server's journal. Writing goes on at its beginning afterwards,
/// which costs the disk the same as a new file that was zeroed beforehand.
const FILE_BYTES: u64 = 64 << 20;

/// How a batch is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Technique {
    /// A write through the page cache and `fdatasync`
    Fdatasync,
    /// One write through the page cache with `RWF_DSYNC`
    Dsync,
    /// One write past the page cache (`O_DIRECT`) with `RWF_DSYNC`
    DirectDsync,
    /// As `direct-dsync`, begun by a worker through `io_uring`; its event loop tells when it is done
    Ring,
}

/// A preallocated, zeroed file that batches are written to one behind the other.
pub struct Log {
    file: File,
    /// The file as the server opens its segments, to be written by [`Technique::Ring`].
    segment: Option<Box<dyn DiskFile>>,
    technique: Technique,
    offset: u64,
}

impl Log {
    /// Creates the file. Where the file system refuses `O_DIRECT`, as one in memory may, batches are written by
    /// [`Technique::Fdatasync`].
    ///
    /// # Errors
    /// There is a file already, or no room for one.
    pub fn create(path: &Path, technique: Technique) -> io::Result<Self> {
        let file = File::create_new(path)?;
        let zeros = vec![0; 1 << 20];
        for offset in (0..FILE_BYTES).step_by(zeros.len()) {
            file.write_all_at(&zeros, offset)?;
        }
        file.sync_all()?;
        let mut log = Self {
            file,
            segment: None,
            technique,
            offset: 0,
        };
        if technique == Technique::Ring {
            let segment = RealDisk.open(path, OpenMode::ReadWrite)?;
            match segment.unit_bytes() {
                Some(_) => log.segment = Some(segment),
                None => log.technique = Technique::Fdatasync,
            }
        }
        if technique == Technique::DirectDsync {
            match open_direct(path) {
                Ok(file) => log.file = file,
                Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                    log.technique = Technique::Fdatasync;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(log)
    }

    /// Returns how batches are made durable.
    #[must_use]
    pub fn technique(&self) -> Technique {
        self.technique
    }

    /// Writes `batch` and returns once it is durable.
    ///
    /// # Errors
    /// It may not be.
    pub fn commit(&mut self, batch: &mut AlignedBuffer) -> io::Result<()> {
        // With the page cache, too, whole blocks are written: a part of one would have to be read first.
        let bytes = batch.padded();
        if self.offset + bytes.len() as u64 > FILE_BYTES {
            self.offset = 0;
        }
        match (&self.segment, self.technique) {
            (Some(segment), _) => segment.write_durably(bytes, self.offset)?,
            (None, Technique::Dsync | Technique::DirectDsync) => self.write_synced(bytes)?,
            (None, Technique::Fdatasync | Technique::Ring) => {
                self.file.write_all_at(bytes, self.offset)?;
                self.file.sync_data()?;
            }
        }
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Begins to write `batch` with the worker's own `writer`; `false` where that cannot be done.
    pub fn begin(&mut self, batch: &mut AlignedBuffer, writer: &mut dyn AsyncWriter) -> bool {
        let bytes = batch.padded();
        if self.offset + bytes.len() as u64 > FILE_BYTES {
            self.offset = 0;
        }
        let begun = self
            .segment
            .as_ref()
            .is_some_and(|segment| writer.begin(&**segment, bytes, self.offset));
        if begun {
            self.offset += bytes.len() as u64;
        }
        begun
    }

    fn write_synced(&self, bytes: &[u8]) -> io::Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            let rest = [IoSlice::new(&bytes[done..])];
            match pwritev2(
                &self.file,
                &rest,
                self.offset + done as u64,
                ReadWriteFlags::DSYNC,
            ) {
                Ok(written) => done += written,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn open_direct(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(OFlags::DIRECT.bits() as i32)
        .open(path)?;
    // Some file systems refuse only the write.
    let mut block = AlignedBuffer::default();
    block.extend(&[0; ALIGNMENT]);
    file.write_all_at(block.padded(), 0)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_technique_writes_batches_one_behind_the_other() {
        for technique in Technique::value_variants() {
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("log");
            let mut log = Log::create(&path, *technique).expect("room");
            let mut batch = AlignedBuffer::default();
            for text in ["first", "second"] {
                batch.clear();
                batch.extend(text.as_bytes());
                log.commit(&mut batch).expect("the disk works");
            }
            let bytes = std::fs::read(&path).expect("readable");
            assert_eq!(bytes.len() as u64, FILE_BYTES);
            assert!(bytes.starts_with(b"first\0"), "{technique:?}");
            assert!(bytes[ALIGNMENT..].starts_with(b"second\0"), "{technique:?}");
        }
    }

    #[test]
    fn a_batch_that_does_not_fit_behind_the_last_one_goes_to_the_beginning() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let mut log = Log::create(&path, Technique::Dsync).expect("room");
        log.offset = FILE_BYTES - ALIGNMENT as u64;
        let mut batch = AlignedBuffer::default();
        batch.extend(&[7; ALIGNMENT + 1]);
        log.commit(&mut batch).expect("the disk works");
        let bytes = std::fs::read(&path).expect("readable");
        assert_eq!(bytes.len() as u64, FILE_BYTES);
        assert!(bytes.starts_with(&[7; ALIGNMENT + 1]));
    }
}
