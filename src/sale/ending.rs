//! How a sale's checkouts and the sale itself end, in memory.

use super::buyers::{Buyer, BuyerRef, CheckoutEnd, ClosedCheckout, OpenCheckout};
use super::sale::{Closing, Sale};
use crate::sync::Ordering;
use crate::types::{Lsn, Timestamp};

impl Sale {
    /// Ends a checkout, which was taken from its buyer, as expired, and gives its units back.
    pub(super) fn end_expired(
        &self,
        reference: BuyerRef,
        buyer: &mut Buyer,
        open: OpenCheckout,
        at: Timestamp,
        lsn: Lsn,
    ) {
        if open.hold.is_some() {
            self.release_lines(reference, &open);
        }
        buyer.closed.push(ClosedCheckout {
            secret: open.secret,
            at,
            lsn,
            end: CheckoutEnd::Expired,
        });
    }

    fn release_lines(&self, reference: BuyerRef, open: &OpenCheckout) {
        for &(item, quantity) in &open.lines {
            self.inventory
                .release(item, quantity, self.taker(reference));
        }
    }

    /// Decides nothing from here on, and holds nothing; `false` when it was closed before. `enqueue`
    /// is called in between: behind the records of all who were deciding, and before what they hold is
    /// free.
    pub(super) fn close(&self, at: Timestamp, enqueue: impl FnOnce() -> Lsn) -> bool {
        if self.closed.swap(true, Ordering::AcqRel) {
            return false;
        }
        // Whoever was deciding under one of these locks has enqueued their record; whoever takes one
        // later sees that the sale is closed.
        self.buyers.lock_each().for_each(drop);
        let lsn = enqueue();
        self.closing.get_or_init(|| Closing { at, lsn });
        for mut shard in self.buyers.lock_each() {
            shard.forget_holds();
            for (reference, buyer) in shard.iter_mut() {
                if let Some(open) = &mut buyer.open
                    && open.hold.take().is_some()
                {
                    self.release_lines(reference, open);
                }
            }
        }
        self.expect_no_expiry();
        true
    }
}
