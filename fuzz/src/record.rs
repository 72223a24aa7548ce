//! Records, as the journal has them.

use flashsale::record::codec;

/// Reads all records of `bytes`. What is read is written as it was meant: read again, it is the same.
pub fn take(bytes: &[u8]) {
    let mut rest = bytes;
    while let Some((at, record, behind)) = codec::decode(rest) {
        let mut written = Vec::new();
        codec::encode(at, &record, &mut written);
        let again = codec::decode(&written);
        let (again_at, again, left) = again.expect("what was written can be read");
        assert_eq!((at, &record), (again_at, &again));
        assert!(left.is_empty() && behind.len() < rest.len());
        rest = behind;
    }
}
