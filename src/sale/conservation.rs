//! What must hold of a sale at any time: every unit is somewhere, and nobody has more than is allowed.

use super::sale::Sale;

impl Sale {
    /// Checks that every unit is free, held or sold, and none twice. Exact only while nobody buys.
    ///
    /// # Errors
    /// Names what does not add up.
    pub fn check_conserved(&self) -> Result<(), String> {
        self.inventory.check_conserved(self.item_count())?;
        let (mut bought, mut held) = (0_u64, 0_u64);
        for mut shard in self.buyers.lock_each() {
            let counted = held + shard.held();
            self.check_item_limits(&shard)?;
            shard.check_cancelled()?;
            for (_, buyer) in shard.iter_mut() {
                bought += u64::from(buyer.bought);
                if buyer.bought > self.terms.max_items_per_user {
                    return Err(format!("a user bought {} units", buyer.bought));
                }
                let open = buyer.open.as_ref();
                held += open.map_or(0, |open| u64::from(open.held_units()));
            }
            if held != counted {
                return Err(format!("checkouts hold {held}, and {counted} were counted"));
            }
        }
        let units = self.inventory.totals_now();
        if bought == units.sold && held == units.held {
            Ok(())
        } else {
            Err(format!(
                "buyers have {bought} and hold {held}, the stock says {units:?}"
            ))
        }
    }
}
