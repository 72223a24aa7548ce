//! The end of a run: everything works again, more buyers come than there are units, and all has to end well.

use flashsale::sale::{Sale, SaleChange, SaleStatus};
use flashsale::types::ItemIndex;

use crate::history::{Ask, Told};
use crate::machine::Machine;
use crate::sink::Database;
use crate::world::World;

/// The first of the users who come last.
const FIRST_USER: u64 = 1000;
/// Steps of a second in which everything has to come to rest.
const SECONDS_MAX: u32 = 200;

impl World {
    /// Lets so many buyers come that everything of the active sale has to be sold.
    pub(crate) async fn rush(&mut self) -> Result<(), String> {
        self.open_a_sale().await?;
        let sale = self.server().engine.active_sale();
        let sale = sale.ok_or("no sale is active")?;
        let mut user = FIRST_USER;
        for _ in 0..3 {
            for place in 0..sale.item_count() {
                self.buy_up(&sale, ItemIndex(place), &mut user).await?;
            }
            if sale.figures().free() == 0 && sale.figures().held == 0 {
                break;
            }
            // What others hold comes back.
            let terms = sale.terms();
            let longest = terms.hold_seconds.max(terms.payment.seconds);
            let hold_us = i64::from(longest + 1) * 1_000_000;
            self.pass_us(hold_us).await?;
            self.turn().await?;
        }
        let figures = sale.figures();
        if sale.status(self.now()) != SaleStatus::Active {
            self.trace.count("rush: over before the end");
            return Ok(());
        }
        self.trace.count("rush: all sold");
        match figures.sold == figures.total {
            true => Ok(()),
            false => Err(format!(
                "units are stranded: {figures:?} of sale {}",
                sale.id()
            )),
        }
    }

    /// Waits for a sale that goes on for some time.
    async fn open_a_sale(&mut self) -> Result<(), String> {
        for _ in 0..SECONDS_MAX {
            self.turn().await?;
            self.resume_all();
            let now = self.now();
            let active = self.server().engine.active_sale();
            let left = active.map(|sale| sale.terms().ended_at.0 - now.0);
            if self.server().sells() && left.is_some_and(|left| left > 3_000_000) {
                return Ok(());
            }
            self.pass_us(1_000_000).await?;
        }
        let machines: Vec<_> = self.machines.iter().map(Machine::describe).collect();
        Err(format!(
            "no sale opens although everything works: {}",
            machines.join("; ")
        ))
    }

    /// Lets all sales go on that administrators have paused.
    fn resume_all(&self) {
        let engine = &self.server().engine;
        let paused = engine
            .open_sales()
            .into_iter()
            .filter(|sale| sale.is_paused());
        for sale in paused.filter(|_| self.server().sells()) {
            let _ = engine.change_sale(sale.id(), SaleChange::Resumed);
        }
    }

    async fn buy_up(&mut self, sale: &Sale, item: ItemIndex, user: &mut u64) -> Result<(), String> {
        let mut id = Vec::new();
        sale.write_item_id(item, &mut id);
        let id = String::from_utf8(id).expect("ids are texts");
        let view = sale.item_view(item);
        let stock = view.as_ref().map_or(0, |view| view.stock);
        let of_item = view.and_then(|view| view.max_per_user);
        let of_sale = sale.terms().max_items_per_user;
        let limit = u64::from(of_item.map_or(of_sale, |limit| limit.min(of_sale)));
        let mut quantity = if stock == 1 { 1 } else { limit };
        // Each one either gets something, or halves what is asked for, or is the last.
        for _ in 0..stock + 64 {
            *user += 1;
            let ask = Ask::Checkout {
                user: *user,
                item: id.clone(),
                quantity: quantity as u32,
                sale: None,
                key: None,
            };
            let told = self.ask_and_wait(ask).await?;
            match told.status {
                200 => {
                    let code = told.code.ok_or("no code")?;
                    self.ask_and_wait(Ask::Purchase { code, key: None }).await?;
                }
                // Fewer may be left.
                409 if quantity > 1 => quantity /= 2,
                _ => return Ok(()),
            }
        }
        Err(format!(
            "there is no end of checkouts of {id}, of which there are {stock}"
        ))
    }

    /// Sends a request, and waits for its answer.
    async fn ask_and_wait(&mut self, ask: Ask) -> Result<Told, String> {
        let place = self.history.with(<[_]>::len);
        self.server_mut().ask(ask);
        for _ in 0..100 {
            self.turn().await?;
            let told = self.history.with(|events| events[place].told.clone());
            if let Some(told) = told {
                return Ok(told);
            }
            self.advance_us(1000).await;
        }
        Err("a request is not answered although everything works".into())
    }

    /// Waits until all has ended that has to, and every database has everything.
    pub(crate) async fn come_to_rest(&mut self) -> Result<(), String> {
        let ends = self.server().engine.open_sales().into_iter();
        let ends = ends.map(|sale| sale.terms().ended_at.0).max();
        let left_us = ends.unwrap_or(0) - self.now().0;
        self.pass_us(left_us.max(0) + 1_000_000).await?;
        for _ in 0..SECONDS_MAX {
            self.turn().await?;
            let (now, durable) = (self.now(), self.server().durable());
            let engine = &self.server().engine;
            let open = engine.open_sales();
            let has_ended = open.iter().all(|sale| sale.terms().ended_at > now);
            let is_written = durable == engine.newest_lsn();
            let first = self.first_lsn()?;
            let is_followed = |it: &Database| it.last() == durable || it.is_stuck(first);
            let is_followed = self.databases.iter().all(is_followed);
            let is_answered = self.server().open_requests() == 0;
            if has_ended && is_written && is_followed && is_answered {
                return Ok(());
            }
            self.pass_us(1_000_000).await?;
        }
        let engine = &self.server().engine;
        Err(format!(
            "it does not come to rest: {} requests are open, {} of {} records are written, the databases have {:?}, open sales are {}",
            self.server().open_requests(),
            engine.durable_lsn(),
            engine.newest_lsn(),
            self.databases
                .iter()
                .map(|it| it.last().0)
                .collect::<Vec<_>>(),
            engine.open_sales().len(),
        ))
    }
}
