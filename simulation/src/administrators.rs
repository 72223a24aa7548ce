//! The administrators: they create sales, and close some.

use std::num::NonZeroU16;
use std::sync::Arc;

use flashsale::record::NewItem;
use flashsale::sale::{NewCatalogue, NewSale, SaleChange};
use flashsale::types::{PaymentTerms, Timestamp};

use crate::world::World;

impl World {
    /// Creates or closes a sale, where the server sells.
    pub(crate) fn administer(&mut self) {
        if !self.server().sells() {
            return;
        }
        let engine = Arc::clone(&self.server().engine);
        let open = engine.open_sales();
        if !open.is_empty() && self.dice.chance(300) {
            let sale = self.dice.pick(&open);
            let has_ended = sale.ends_at() <= engine.clock().now();
            // That one is closed by its end, behind the last payment.
            if sale.has_payments() && has_ended {
                return;
            }
            self.note("a sale is closed");
            engine.close_sale(sale.id());
            return;
        }
        self.listed += 1;
        let dice = &mut self.dice;
        let ids: Vec<_> = (0..dice.between(1, 60))
            .map(|place| format!("LST{}-{place}", self.listed))
            .collect();
        let is_large = dice.chance(200);
        // Half of the sales limit some of their items. No dice are drawn for that, so that what else happens is as it was.
        let has_limits = !self.listed.is_multiple_of(2);
        let items = ids.iter().zip(0_u16..).map(|(id, place)| NewItem {
            id,
            name: "a thing",
            image_url: "",
            stock: if is_large {
                dice.between(1000, 1300)
            } else {
                dice.between(1, 9)
            },
            max_per_user: NonZeroU16::new(place % 4).filter(|_| has_limits),
        });
        let items = items.collect();
        let started_at = Timestamp(engine.clock().now().0 - 1_000_000);
        let sale = NewSale {
            started_at,
            ended_at: started_at.plus_seconds(dice.between(2, 60) as u32),
            max_items_per_user: if is_large {
                400
            } else {
                dice.between(1, 10) as u32
            },
            hold_seconds: *dice.pick(&[0, 0, 5]),
            payment: PaymentTerms {
                seconds: self.plan.payment_seconds,
                ..PaymentTerms::NONE
            },
            catalogue: NewCatalogue::Explicit(items),
        };
        self.note("a sale is created");
        let _ = engine.create_sale(&sale);
    }

    /// Pauses a sale, lets one go on, or has one end later, where the server sells.
    pub(crate) fn change_a_sale(&mut self) {
        if !self.server().sells() {
            return;
        }
        let engine = Arc::clone(&self.server().engine);
        let open = engine.open_sales();
        if open.is_empty() {
            return;
        }
        let dice = &mut self.order_dice;
        let sale = dice.pick(&open);
        let change = match dice.below(3) {
            _ if sale.is_paused() && dice.chance(700) => SaleChange::Resumed,
            0 => SaleChange::Extended(sale.ends_at().plus_seconds(dice.below(8) as u32)),
            1 => SaleChange::Resumed,
            _ => SaleChange::Paused,
        };
        if let Ok(Some(_)) = engine.change_sale(sale.id(), change) {
            self.note(&format!("a sale is {}", change.name()));
        }
    }
}
