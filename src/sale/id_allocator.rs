//! Allocation of the numbers of new sales.

use std::collections::BTreeSet;

use crate::types::SaleId;

/// Allocates the numbers of new sales: keeps the numbers that no sale has and that are not quite free.
#[derive(Default)]
pub(super) struct IdAllocator {
    /// Of sales that are being created.
    reserved: BTreeSet<SaleId>,
    /// Of sales that did not come to be. They go first, because the sale that gets one replaces what
    /// was announced under it.
    free: BTreeSet<SaleId>,
}

impl IdAllocator {
    /// Creates an allocator where the creation of the sales `free` was cut off.
    pub(super) fn with_free(free: impl Iterator<Item = SaleId>) -> Self {
        Self {
            reserved: BTreeSet::new(),
            free: free.collect(),
        }
    }

    /// Sales that are being created.
    pub(super) fn reserved(&self) -> usize {
        self.reserved.len()
    }

    /// A number that nobody else gets, until it is used or given back. `last` is the highest one of a
    /// sale.
    pub(super) fn reserve(&mut self, last: u32) -> SaleId {
        let highest = self.reserved.last().map_or(last, |id| id.0.max(last));
        let id = self.free.pop_first().unwrap_or(SaleId(highest + 1));
        self.reserved.insert(id);
        id
    }

    /// There is a sale with this number now.
    pub(super) fn used(&mut self, id: SaleId) {
        self.reserved.remove(&id);
    }

    /// There will be no sale with this number.
    pub(super) fn give_back(&mut self, id: SaleId) {
        self.reserved.remove(&id);
        self.free.insert(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_given_twice_and_none_is_left_behind() {
        let mut numbers = IdAllocator::with_free([SaleId(7)].into_iter());
        assert_eq!(numbers.reserve(4), SaleId(7), "it was begun before");
        assert_eq!(numbers.reserve(4), SaleId(8));
        numbers.give_back(SaleId(7));
        numbers.used(SaleId(8));
        assert_eq!(numbers.reserve(8), SaleId(7));
        assert_eq!(numbers.reserve(8), SaleId(9));
        assert_eq!(numbers.reserved(), 2);
    }
}
