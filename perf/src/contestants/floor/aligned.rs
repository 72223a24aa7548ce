//! Memory that `O_DIRECT` can write from.

/// Divisor of the address and the length of every write: a page, which is enough for every disk.
pub const ALIGNMENT: usize = 4096;
/// Bytes that a buffer begins with: a batch of some hundred records.
const CAPACITY: usize = 64 * 1024;

/// A buffer whose contents begin at a multiple of [`ALIGNMENT`]. It asks for more memory than it needs and begins
/// where the alignment is right, so that it needs no `unsafe`.
pub struct AlignedBuffer {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Default for AlignedBuffer {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl AlignedBuffer {
    fn with_capacity(capacity: usize) -> Self {
        let bytes = vec![0; capacity + ALIGNMENT];
        let start = bytes.as_ptr().align_offset(ALIGNMENT);
        Self {
            bytes,
            start,
            length: 0,
        }
    }

    /// Appends `more`.
    pub fn extend(&mut self, more: &[u8]) {
        let end = self.length + more.len();
        // A multiple of the alignment fits, too.
        if end > self.capacity() {
            let mut larger = Self::with_capacity(end.next_power_of_two());
            larger.bytes[larger.start..][..self.length].copy_from_slice(self.contents());
            larger.length = self.length;
            *self = larger;
        }
        let (from, to) = (self.start + self.length, self.start + end);
        self.bytes[from..to].copy_from_slice(more);
        self.length = end;
    }

    /// Empties it, and keeps its memory.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// Returns whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Returns the contents, filled up with zeros to a multiple of [`ALIGNMENT`].
    pub fn padded(&mut self) -> &[u8] {
        let (from, to) = (self.length, self.length.next_multiple_of(ALIGNMENT));
        self.bytes[self.start..][from..to].fill(0);
        &self.bytes[self.start..][..to]
    }

    fn contents(&self) -> &[u8] {
        &self.bytes[self.start..][..self.length]
    }

    fn capacity(&self) -> usize {
        self.bytes.len() - ALIGNMENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_aligned_and_padded_with_zeros_however_large_they_get() {
        let mut buffer = AlignedBuffer::default();
        for round in 0..3_u8 {
            buffer.clear();
            assert!(buffer.is_empty() && buffer.padded().is_empty());
            for _ in 0..2000 {
                buffer.extend(&[round + 1; 71]);
            }
            let padded = buffer.padded();
            assert_eq!(padded.as_ptr().align_offset(ALIGNMENT), 0);
            assert_eq!(padded.len(), (2000_usize * 71).next_multiple_of(ALIGNMENT));
            let (records, zeros) = padded.split_at(2000 * 71);
            assert!(records.iter().all(|&byte| byte == round + 1));
            assert!(zeros.iter().all(|&byte| byte == 0));
        }
    }
}
