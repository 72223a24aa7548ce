//! What the operating system says about this process.

use std::fs;

/// The memory of this process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessMemory {
    /// Pages in RAM.
    pub resident_bytes: u64,
    /// Heap, stacks and other writable pages, in RAM or not.
    pub data_bytes: u64,
    /// All address space.
    pub virtual_bytes: u64,
}

impl ProcessMemory {
    /// Asks the operating system. All zero where it does not say.
    #[must_use]
    pub fn read() -> Self {
        let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        Self::parse(&statm, rustix::param::page_size() as u64).unwrap_or_default()
    }

    fn parse(statm: &str, page_bytes: u64) -> Option<Self> {
        let mut pages = statm.split_ascii_whitespace().map(str::parse::<u64>);
        let mut bytes_at = |skipped| Some(pages.nth(skipped)?.ok()? * page_bytes);
        Some(Self {
            virtual_bytes: bytes_at(0)?,
            resident_bytes: bytes_at(0)?,
            data_bytes: bytes_at(3)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statm_is_understood() {
        let memory = ProcessMemory::parse("100 20 5 1 0 30 0\n", 4096);
        let expected = ProcessMemory {
            resident_bytes: 20 * 4096,
            data_bytes: 30 * 4096,
            virtual_bytes: 100 * 4096,
        };
        assert_eq!(memory, Some(expected));
        assert_eq!(ProcessMemory::parse("1 x", 4096), None);
        assert!(ProcessMemory::read().resident_bytes > 0);
    }
}
