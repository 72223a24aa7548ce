//! Randomness, as the engine sees it.

use std::cell::{Cell, RefCell};

use parking_lot::Mutex;

/// Gives random bits.
pub trait Entropy: Send + Sync {
    /// 128 bits that nobody can guess.
    fn bits_128(&self) -> u128;
}

/// The operating system's generator, asked for [`DRAWN_BYTES`] at a time: a system call for each
/// code would cost more than the rest of a checkout's decision.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

/// Bytes that a thread draws from the operating system at once.
pub const DRAWN_BYTES: usize = 1024;

struct Drawn {
    bytes: [u8; DRAWN_BYTES],
    used: usize,
}

thread_local! {
    static DRAWN: RefCell<Drawn> =
        const { RefCell::new(Drawn { bytes: [0; DRAWN_BYTES], used: DRAWN_BYTES }) };
}

impl Entropy for OsEntropy {
    fn bits_128(&self) -> u128 {
        DRAWN.with_borrow_mut(|drawn| {
            if drawn.used == DRAWN_BYTES {
                getrandom::fill(&mut drawn.bytes)
                    .expect("the operating system's random generator works");
                drawn.used = 0;
            }
            let chunk = &mut drawn.bytes[drawn.used..drawn.used + 16];
            let bits = u128::from_ne_bytes(chunk.try_into().expect("the chunk has 16 bytes"));
            // Used bits are erased, so that a core dump does not tell codes of the past.
            chunk.fill(0);
            drawn.used += 16;
            bits
        })
    }
}

/// The hash function for keys that clients choose.
pub type KeyHasher = foldhash::fast::SeedableRandomState;

thread_local!(static HASH_SEED: Cell<Option<u64>> = const { Cell::new(None) });

/// Creates a hash function whose seed nobody can guess, so that no client can choose keys that fall together.
#[must_use]
pub fn key_hasher() -> KeyHasher {
    match HASH_SEED.get() {
        None => KeyHasher::random(),
        Some(seed) => KeyHasher::with_seed(seed, foldhash::SharedSeed::global_fixed()),
    }
}

/// Gives all hash functions that the calling thread creates from now on the same seed. Only for tests, which are to be
/// repeated exactly.
pub fn fix_hash_seed(seed: u64) {
    HASH_SEED.set(Some(seed));
}

/// A generator that a seed determines (splitmix64, by Steele, Lea and Flood). Only for tests: its
/// codes can be guessed.
#[derive(Debug)]
pub struct SeededEntropy {
    state: Mutex<u64>,
}

impl SeededEntropy {
    /// A generator that always gives the same sequence for the same `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            state: Mutex::new(seed),
        }
    }
}

impl Entropy for SeededEntropy {
    fn bits_128(&self) -> u128 {
        let mut state = self.state.lock();
        let high = splitmix64(&mut state);
        let low = splitmix64(&mut state);
        (u128::from(high) << 64) | u128::from(low)
    }
}

/// One step of splitmix64: advances `state` and mixes it into 64 well-spread bits.
pub fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_bits_do_not_repeat() {
        let drawn: std::collections::HashSet<u128> =
            (0..1000).map(|_| OsEntropy.bits_128()).collect();
        assert_eq!(drawn.len(), 1000);
    }

    #[test]
    fn a_seed_determines_the_sequence() {
        let (a, b) = (SeededEntropy::new(1), SeededEntropy::new(1));
        assert_eq!(a.bits_128(), b.bits_128());
        assert_ne!(a.bits_128(), SeededEntropy::new(2).bits_128());
    }
}
