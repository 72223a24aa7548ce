//! The place of an endpoint in the journal, in a file beside it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::env::{Disk, read_file, replace_file};
use crate::limits::WEBHOOK_PLACE_BYTES_MAX;
use crate::reconcile::{SinkError, Watermark};
use crate::types::Lsn;

/// The file that says up to which record one endpoint has everything. It is replaced as a whole, has a checksum, and names its endpoint.
pub(super) struct PlaceFile {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// The digest of the endpoint's address.
    endpoint: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPlace {
    endpoint: String,
    lsn: u64,
    fingerprint: u32,
}

impl PlaceFile {
    /// Names the file of the endpoint at `url`, beside the journal in `dir`.
    pub(super) fn new(disk: Arc<dyn Disk>, dir: &Path, url: &str) -> Self {
        let digest = Sha256::digest(url);
        Self {
            disk,
            dir: dir.to_owned(),
            endpoint: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.join(format!("webhook-{}", &self.endpoint[..16]))
    }

    /// Returns the place; `None` while the endpoint has none.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or is another endpoint's.
    pub(super) fn read(&self) -> Result<Option<Watermark>, SinkError> {
        let path = self.path();
        let bytes = match read_file(&*self.disk, &path, WEBHOOK_PLACE_BYTES_MAX) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(&error.to_string())),
            Ok(bytes) => bytes,
        };
        let stored = parse(&bytes).ok_or_else(|| self.failed("it is damaged"))?;
        if stored.endpoint != self.endpoint {
            return Err(self.failed("it is the place of another endpoint"));
        }
        Ok(Some(Watermark {
            lsn: Lsn(stored.lsn),
            fingerprint: stored.fingerprint,
        }))
    }

    /// Replaces the place, durably: a power cut leaves the one before or this one.
    ///
    /// # Errors
    /// As the operating system says.
    pub(super) fn write(&self, place: Watermark) -> Result<(), SinkError> {
        let stored = StoredPlace {
            endpoint: self.endpoint.clone(),
            lsn: place.lsn.0,
            fingerprint: place.fingerprint,
        };
        self.replace(&stored)
            .map_err(|error| self.failed(&error.to_string()))
    }

    fn replace(&self, stored: &StoredPlace) -> std::io::Result<()> {
        let line = serde_json::to_string(stored)?;
        let text = format!("{line} {:08x}\n", crc32c::crc32c(line.as_bytes()));
        let path = self.path();
        let unfinished = path.with_extension("new");
        replace_file(&*self.disk, &self.dir, &path, &unfinished, text.as_bytes())
    }

    fn failed(&self, why: &str) -> SinkError {
        SinkError::Redacted {
            internal: format!(
                "{}: {why}. Remove the file to have the endpoint begin with what happens from then on",
                self.path().display()
            ),
            public: "its place on the disk cannot be used: the log says why".to_owned(),
            permanent: true,
        }
    }
}

fn parse(bytes: &[u8]) -> Option<StoredPlace> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let (line, sum) = text.rsplit_once(' ')?;
    let is_whole = u32::from_str_radix(sum, 16) == Ok(crc32c::crc32c(line.as_bytes()));
    is_whole.then(|| serde_json::from_str(line).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{OpenMode, SimulatedDisk};

    fn file(disk: &SimulatedDisk, url: &str) -> PlaceFile {
        PlaceFile::new(Arc::new(disk.clone()), Path::new("journal"), url)
    }

    #[test]
    fn a_place_is_kept_whole_or_refused_and_belongs_to_its_endpoint() {
        let disk = SimulatedDisk::new();
        disk.create_dir_all(Path::new("journal")).expect("room");
        let place = |lsn| Watermark {
            lsn: Lsn(lsn),
            fingerprint: 7,
        };
        let ours = file(&disk, "https://a/");
        assert_eq!(ours.read().expect("none yet"), None);
        for lsn in [1, 1 << 40, 3] {
            ours.write(place(lsn)).expect("room");
            assert_eq!(ours.read().expect("whole"), Some(place(lsn)));
        }
        assert_eq!(file(&disk, "https://b/").read().expect("another"), None);
        // A file that was renamed, and each flipped byte.
        let other = file(&disk, "https://b/");
        disk.rename(&ours.path(), &other.path()).expect("there");
        assert!(other.read().is_err());
        disk.rename(&other.path(), &ours.path()).expect("there");
        let bytes = read_file(&disk, &ours.path(), 4096).expect("there");
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            let written = disk.open(&ours.path(), OpenMode::Create).expect("there");
            written.write_at(&flipped, 0).expect("room");
            assert!(ours.read().is_err(), "byte {at}");
        }
    }
}
