//! Memory for writes that go past the kernel's cache.

/// The alignment that is enough for any disk, in bytes.
const ALIGN_BYTES: usize = 4096;

/// A buffer whose bytes begin at a page, as writes past the kernel's cache need it.
#[derive(Default)]
pub(super) struct AlignedBuffer {
    /// A page longer than what was asked for.
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl AlignedBuffer {
    /// Replaces the contents by a copy of `bytes`.
    pub(super) fn fill(&mut self, bytes: &[u8]) {
        if self.memory.len() < bytes.len() + ALIGN_BYTES {
            self.memory = vec![0; (bytes.len() + ALIGN_BYTES).next_power_of_two()];
            self.start = self.memory.as_ptr().align_offset(ALIGN_BYTES);
        }
        self.length = bytes.len();
        self.memory[self.start..self.start + self.length].copy_from_slice(bytes);
    }

    /// Returns the contents.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_begin_at_a_page_whatever_their_length() {
        let mut buffer = AlignedBuffer::default();
        for length in [0, 1, 512, 4096, 100_000, 3] {
            let bytes: Vec<u8> = (0..length).map(|index| index as u8).collect();
            buffer.fill(&bytes);
            assert_eq!(buffer.bytes(), bytes);
            assert_eq!(buffer.bytes().as_ptr() as usize % ALIGN_BYTES, 0);
        }
    }
}
