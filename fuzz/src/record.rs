//! Records, as the journal has them.

use flashsale::record::{Entry, envelope};
use flashsale::types::Lsn;

/// Reads all records of `bytes`. What is read is written as it was meant: read again, it is the same.
pub fn take(bytes: &[u8]) {
    let mut rest = bytes;
    while let Some((entry, behind)) = Entry::split_first(Lsn(1), rest) {
        let Ok(record) = entry.record() else {
            return;
        };
        let mut written = Vec::new();
        envelope::encode(entry.at, &record, &mut written);
        assert_eq!(written, entry.bytes(), "one record has one form");
        let again = Entry::whole(entry.lsn, &written).expect("what was written can be read");
        assert_eq!((again.at, again.record()), (entry.at, Ok(record)));
        assert!(behind.len() < rest.len());
        rest = behind;
    }
}
