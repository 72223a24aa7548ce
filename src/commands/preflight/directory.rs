//! The journal's directory: can it be written, what is it on, and how much is free.

use std::io::ErrorKind;

use crate::config::Config;
use crate::env::{Filesystem, RealDisk};
use crate::journal::{self, JournalError, snapshot};
use crate::types::{Durability, Lsn, counted};

use super::finding::Findings;
use super::sizing;

/// File systems that are gone with the machine.
const IN_MEMORY: &[&str] = &["tmpfs", "ramfs", "devtmpfs"];
/// File systems that are gone with the container.
const LAYERS: &[&str] = &["overlay", "aufs"];
/// File systems whose syncs are another machine's word.
const NETWORK: &[&str] = &[
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "9p",
    "ceph",
    "glusterfs",
    "virtiofs",
];
/// File systems that write elsewhere what is overwritten, unless they are asked not to.
const COPY_ON_WRITE: [&str; 4] = ["btrfs", "zfs", "bcachefs", "nilfs2"];
/// Files below which segments and files of sales may no longer be made.
const FREE_FILES_MIN: u64 = 10_000;
/// The time that the room must last, in hours.
const HOURS_MIN: u64 = 24;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    const CHECK: &str = "journal";
    let dir = config.journal.dir.display();
    let filesystem = match Filesystem::of(&config.journal.dir) {
        Ok(filesystem) => filesystem,
        Err(error) => {
            let advice = "make a directory there, or set another journal.dir";
            return findings.fail(CHECK, format!("{dir}: {error}"), advice);
        }
    };
    let place = filesystem.dir.display();
    if !filesystem.is_writable {
        findings.fail(
            CHECK,
            format!("{place} cannot be written by this user"),
            format!(
                "chown it to the user that runs the server, or set another journal.dir than {dir}"
            ),
        );
    } else if !filesystem.is_own {
        findings.warn(
            CHECK,
            format!("{place} belongs to another user"),
            "run this as the user that runs the server, or chown the directory to that",
        );
    } else if filesystem.exists {
        findings.ok(CHECK, format!("{dir} is there and can be written"));
    } else {
        findings.ok(CHECK, format!("{dir} can be made in {place}"));
    }
    if filesystem.exists
        && let Err(error) = journal::check_regular(&RealDisk, &config.journal.dir)
    {
        findings.fail(
            CHECK,
            error.to_string(),
            "see what it is, and who has made it",
        );
    }
    kind(config, &filesystem, findings);
    room(config, &filesystem, findings);
}

fn kind(config: &Config, filesystem: &Filesystem, findings: &mut Findings) {
    const CHECK: &str = "file system";
    let kind = filesystem.kind.as_str();
    if IN_MEMORY.contains(&kind) {
        let found = format!("{kind}: the journal is gone with the machine");
        let advice = "set journal.dir to a directory on a disk";
        match config.journal.durability {
            Durability::Fsync => findings.fail(CHECK, found, advice),
            Durability::Os => findings.warn(CHECK, found, advice),
        }
    } else if LAYERS.contains(&kind) {
        findings.warn(
            CHECK,
            format!("{kind}: the journal is gone with the container"),
            "mount a volume at journal.dir",
        );
    } else if NETWORK.contains(&kind) || kind.starts_with("fuse") {
        findings.warn(
            CHECK,
            format!("{kind}: what a sync means is another machine's word, and locks may not hold"),
            "set journal.dir to a directory on a disk of this machine",
        );
    } else if COPY_ON_WRITE.contains(&kind) {
        findings.warn(
            CHECK,
            format!(
                "{kind} copies on write: when it is full, also prepared segments cannot be written, and \
                 every commit writes more than its records"
            ),
            "prefer ext4 or xfs for journal.dir; otherwise keep room free, and take no snapshots of the volume",
        );
    } else {
        findings.ok(CHECK, kind);
    }
}

fn room(config: &Config, filesystem: &Filesystem, findings: &mut Findings) {
    const CHECK: &str = "room";
    let free = filesystem.free_bytes;
    let least = sizing::journal_bytes_min(config);
    let a_sale = sizing::sale_bytes(config);
    let seconds = config.sale.interval.as_secs().max(1);
    let an_hour = a_sale * 3600_u64.div_ceil(seconds);
    let hours = free.saturating_sub(least) / an_hour.max(1);
    let (free, least, a_sale) = (mebibytes(free), mebibytes(least), mebibytes(a_sale));
    let advice = "make room, set journal.retain_hours, or make journal.segment_mebibytes smaller";
    if filesystem.free_bytes < sizing::journal_bytes_min(config) {
        let found = format!("{free} MiB are free, but a journal begins with {least} MiB");
        findings.fail(CHECK, found, advice);
    } else if hours < HOURS_MIN {
        let found = format!(
            "{free} MiB are free: {} of sales that take up to {a_sale} MiB each",
            counted(hours, "hour", "hours")
        );
        findings.warn(CHECK, found, advice);
    } else {
        let found = format!(
            "{free} MiB are free: {} of sales that take up to {a_sale} MiB each",
            counted(hours / 24, "day", "days")
        );
        findings.ok(CHECK, found);
    }
    if let Some(files) = filesystem
        .free_files
        .filter(|&files| files < FREE_FILES_MIN)
    {
        findings.warn(
            CHECK,
            format!(
                "only {} can be made: each ended sale takes one",
                counted(files, "file", "files")
            ),
            "make room for files (df -i), or another file system",
        );
    }
}

fn mebibytes(bytes: u64) -> u64 {
    bytes >> 20
}

/// Why the journal is to be left alone: a process has it, or nobody can tell; `None` when nobody has it.
pub(super) fn in_use(config: &Config) -> Option<String> {
    match journal::is_in_use(&RealDisk, &config.journal.dir) {
        Ok(true) => Some("another process is using it".into()),
        Ok(false) => None,
        Err(error) => Some(error.to_string()),
    }
}

/// The last record of the journal, 0 where there is none yet. Nobody may be writing to it.
///
/// # Errors
/// The journal cannot be read.
pub(super) fn last_lsn(config: &Config) -> Result<Lsn, JournalError> {
    let dir = &config.journal.dir;
    let after = match snapshot::newest(&RealDisk, dir) {
        Err(JournalError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            return Ok(Lsn::ZERO);
        }
        newest => newest?.unwrap_or(Lsn::ZERO),
    };
    let replayed = journal::replay(&RealDisk, dir, after, None, &mut journal::check_decodable)?;
    Ok(replayed.last_lsn)
}
