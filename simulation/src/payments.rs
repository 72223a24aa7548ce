//! The rules of payments, as the ledger has them.

use flashsale::types::{PurchasedLine, SaleId, Timestamp};

use crate::ledger::{Checkout, End, Ledger, check};

impl Checkout {
    /// Whether units of the item at this place are held.
    pub(crate) fn reserves(&self, item: u32) -> bool {
        match &self.paying {
            Some(lost) => !lost.contains(&item),
            None => self.holds,
        }
    }

    /// Whether its payment is under way.
    pub(crate) fn is_paid(&self) -> bool {
        self.paying.is_some() && self.end.is_none()
    }
}

impl Ledger {
    /// A payment begins: `sold` of each line says whether it is reserved.
    pub(crate) fn pay(
        &mut self,
        code: (SaleId, u128),
        user: &str,
        lines: Vec<PurchasedLine>,
        at: Timestamp,
    ) -> Result<(), String> {
        let sale = self.sales.get_mut(&code.0).ok_or("no such sale")?;
        check(!sale.is_closed(), "a payment in a closed sale")?;
        check(
            at < sale.terms.ended_at,
            "a payment begins behind the end of the sale",
        )?;
        check(
            sale.terms.payment.seconds > 0,
            "a payment where there is none",
        )?;
        let checkout = self.checkouts.get_mut(&code).ok_or("no such checkout")?;
        check(checkout.user == user, "somebody else pays")?;
        check(checkout.end.is_none(), "a checkout that is over is paid")?;
        check(checkout.paying.is_none(), "a payment begins twice")?;
        let own = lines.iter().map(|line| (line.item.0, line.quantity));
        check(
            own.eq(checkout.lines.iter().copied()),
            "other lines than were chosen",
        )?;
        for line in &lines {
            let place = line.item.0 as usize;
            let units = u64::from(line.quantity);
            let (_, stock) = sale.items[place];
            let taken = sale.sold[place] + sale.held[place];
            match (checkout.holds, line.sold) {
                (true, is_reserved) => check(is_reserved, "what was held is not reserved")?,
                (false, true) => {
                    check(taken + units <= stock, "more is reserved than there is")?;
                    sale.held[place] += units;
                }
                (false, false) => check(taken + units > stock, "what is free is not reserved")?,
            }
        }
        let lost = lines.iter().filter(|line| !line.sold);
        let lost: Vec<u32> = lost.map(|line| line.item.0).collect();
        check(lost.len() < lines.len(), "a payment of nothing")?;
        checkout.paying = Some(lost);
        Ok(())
    }

    /// A payment that comes late gets what is free in whole lines, up to the limit of its user.
    pub(crate) fn purchase_late(
        &mut self,
        code: (SaleId, u128),
        user: &str,
        lines: Vec<PurchasedLine>,
    ) -> Result<(), String> {
        let sale = self.sales.get_mut(&code.0).ok_or("no such sale")?;
        let open = sale.open.get(user).map(|secret| (code.0, *secret));
        let open = open.and_then(|open| self.checkouts.get(&open));
        let open = open.map_or_else(Vec::new, |open| open.lines.clone());
        let chosen: u64 = open.iter().map(|(_, units)| u64::from(*units)).sum();
        let checkout = self.checkouts.get_mut(&code).ok_or("no such checkout")?;
        check(checkout.user == user, "somebody else's checkout")?;
        let own = lines.iter().map(|line| (line.item.0, line.quantity));
        check(
            own.eq(checkout.lines.iter().copied()),
            "other lines than were chosen",
        )?;
        let limit = u64::from(sale.terms.max_items_per_user);
        for line in &lines {
            let place = line.item.0 as usize;
            let units = u64::from(line.quantity);
            let (_, stock) = sale.items[place];
            let of_item = sale.bought_of.entry((user.to_owned(), place)).or_default();
            let again = open.iter().filter(|(item, _)| *item == line.item.0);
            let again: u64 = again.map(|(_, units)| u64::from(*units)).sum();
            let most = sale.item_limits[place].unwrap_or(u64::MAX);
            let fits_item = *of_item + again + units <= most;
            let bought = sale.bought.entry(user.to_owned()).or_default();
            let fits = fits_item && *bought + chosen + units <= limit;
            let is_free = sale.sold[place] + sale.held[place] + units <= stock;
            check(
                line.sold == (fits && is_free),
                "a late payment gets what it should not, or not what it should",
            )?;
            if line.sold {
                *bought += units;
                *of_item += units;
                sale.sold[place] += units;
                sale.note_unsold(place);
            }
        }
        checkout.end = Some(End::Processed(lines));
        Ok(())
    }
}
