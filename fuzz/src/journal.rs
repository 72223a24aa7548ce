//! The journal's segments and snapshots, as a start of the server reads them.

use std::path::Path;

use flashsale::journal::segment::segment_path;
use flashsale::journal::{Opening, snapshot};
use flashsale::sale::{Recovered, check_files};
use flashsale::types::Lsn;

use super::disk::{DIR, disk_with, file, split};

/// Recovers what `bytes` hold as a segment or as a snapshot; an error is as good as a state.
pub fn take(bytes: &[u8]) {
    let Some((form, what, count, bytes)) = split(bytes) else {
        return;
    };
    let dir = Path::new(DIR);
    let (path, bytes) = match what & 1 {
        0 => (
            segment_path(dir, 1),
            file(form, 1, Lsn(1), count, bytes, false),
        ),
        _ => (
            snapshot::path_of(dir, Lsn(9)),
            file(form, 9, Lsn(1), count, bytes, true),
        ),
    };
    let disk = disk_with(&path, bytes);
    let Ok(opening) = Opening::lock(disk.clone(), dir) else {
        return;
    };
    if let Ok(recovered) = Recovered::from_journal(&opening) {
        // What ended sales consisted of is in files of their own, which are not there.
        let _ = check_files(&*disk, dir, &recovered.state);
    }
}
