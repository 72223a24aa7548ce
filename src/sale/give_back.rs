//! Giving back: units leave a checkout and are free again, behind the record that says so.

use super::baskets::{CheckoutEnd, ClosedCheckout, OpenCheckout};
use super::buyers::{Buyer, BuyerRef, BuyerShard};
use super::sale::Sale;
use crate::planted::{Slip, is_planted};
use crate::record::ReleasedLine;
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
        if !is_planted(Slip::ForgetsUnitsOfExpired) {
            self.release_lines(reference, &open);
            if is_planted(Slip::ReleasesHoldTwice) {
                self.release_lines(reference, &open);
            }
        }
        buyer.closed.push(ClosedCheckout {
            secret: open.secret,
            at,
            lsn,
            end: CheckoutEnd::Expired {
                lines: open.lines.into_vec().into(),
            },
        });
    }

    /// Takes `line`, or everything, out of a buyer's open checkout, and frees what it held. The record that says so, `lsn`, must
    /// be enqueued already. Returns the rest of the checkout; `None` where nothing is left: it is over then, and its code is
    /// nobody's.
    pub(super) fn give_back<'s>(
        &self,
        shard: &'s mut BuyerShard,
        reference: BuyerRef,
        line: Option<ReleasedLine>,
        lsn: Lsn,
    ) -> Option<&'s OpenCheckout> {
        let units = shard.buyer(reference).open.as_ref()?.units();
        let Some(line) = line.filter(|line| line.quantity < units) else {
            let open = shard.take_open(reference)?;
            self.release_lines(reference, &open);
            self.buyers.remove_code(open.secret, lsn);
            return None;
        };
        if shard.take_line(reference, line, lsn) {
            let times = if is_planted(Slip::ReleasesLineTwice) {
                2
            } else {
                1
            };
            for _ in 0..times {
                self.inventory
                    .release(line.item, line.quantity, self.taker(reference));
            }
        }
        shard.buyer(reference).open.as_ref()
    }

    /// Frees what a checkout holds. The record that says so must be enqueued already.
    pub(super) fn release_lines(&self, reference: BuyerRef, open: &OpenCheckout) {
        for (item, quantity) in open.held_lines() {
            self.inventory
                .release(item, quantity, self.taker(reference));
        }
    }
}
