//! An engine and the model beside it, taken through the same steps.

use std::collections::HashMap;
use std::num::{NonZeroI64, NonZeroU16};
use std::path::Path;
use std::sync::Arc;

use flashsale::env::{ManualClock, SeededEntropy, SimulatedDisk};
use flashsale::record::{NewItem, Record, RefusedReason};
use flashsale::sale::outcome::PurchasedLine;
use flashsale::sale::{
    BasketLine, CancelOutcome, CancelRequest, ChangeError, CheckoutOutcome, CheckoutRequest,
    ConfirmOutcome, ConfirmRequest, ContentsOutcome, Decision, Engine, NewCatalogue, NewSale,
    PaymentOutcome, PurchaseOutcome, ReleaseRequest, SaleChange, SaleDecision, State,
    StockChangeError, StockChangeRequest, load_ended, write_snapshot,
};
use flashsale::types::{
    CheckoutCode, IdempotencyKey, ItemId, Lsn, PaymentTerms, PurchaseBy, Reference, SaleId,
    Timestamp, UserId,
};

use crate::common::{dump_whole, open_engine};
use crate::engine_model::model::{
    Answer, Answered, Asked, AskedCancellation, Checkout, End, Keyed, Model, ModelSale, Token,
    Wanted, answer,
};
use crate::engine_model::step::Step;

const IDS: [&str; 10] = [
    "ITM-1-0", "ITM-1-1", "sock", "shoe", "cup", "sock", "shoe", "cup", "cup", "sock",
];
const EXPLICIT: [(&str, u64); 3] = [("sock", 3), ("shoe", 1), ("cup", 5)];
const MORE: [(&str, u64); 2] = [("hat", 2), ("sock", 1)];
/// Units of items that one user may buy, in a quarter of the worlds.
const ITEM_LIMITS: [(&str, u16); 2] = [("sock", 1), ("cup", 2)];
const HOLD_SECONDS: u32 = 5;
const PAYMENT_SECONDS: u32 = 7;
const REFERENCES: [&str; 2] = ["pay-1", "pay-2"];
const KEYS: [&str; 3] = ["a", "b", "c"];

pub struct World {
    disk: SimulatedDisk,
    clock: Arc<ManualClock>,
    engine: Engine,
    model: Model,
    /// Codes in the order of their coming.
    codes: Vec<CheckoutCode>,
    now: i64,
    opened: u64,
}

fn dir() -> &'static Path {
    Path::new("/journal")
}

fn open(disk: &SimulatedDisk, clock: &Arc<ManualClock>, seed: u64) -> Engine {
    let disk: Arc<dyn flashsale::env::Disk> = Arc::new(disk.clone());
    open_engine(&disk, dir(), clock, seed).expect("the journal is intact")
}

impl World {
    /// Two sales, their terms chosen by `terms`.
    pub fn new(terms: u8) -> Self {
        let disk = SimulatedDisk::new();
        let now = 103;
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(now)));
        let engine = open(&disk, &clock, 0);
        let mut world = Self {
            disk,
            clock,
            engine,
            model: Model::default(),
            codes: Vec::new(),
            now,
            opened: 1,
        };
        let hold = |bits: u8| {
            if terms & bits == bits {
                HOLD_SECONDS
            } else {
                0
            }
        };
        let limit = if terms & 4 == 0 { 2 } else { 3 };
        let first = (terms & 24 == 24).then_some(&MORE[..]);
        let item_limits = if terms & 32 == 0 || terms & 4 == 0 {
            &[][..]
        } else {
            &ITEM_LIMITS
        };
        let payment = |bits: u8, by_shop: u8| PaymentTerms {
            seconds: match terms & bits == bits {
                true => PAYMENT_SECONDS,
                false => 0,
            },
            purchase_by: match terms & by_shop == by_shop {
                true => PurchaseBy::Shop,
                false => PurchaseBy::Buyer,
            },
        };
        let (times, terms) = ((100, 200), (limit, hold(1), payment(32, 32 | 8)));
        world.create(first, times, terms, item_limits);
        let (times, terms) = ((104, 190), (limit + 1, hold(64 | 2), payment(128, 128 | 8)));
        world.create(Some(&EXPLICIT), times, terms, item_limits);
        world
    }

    fn create(
        &mut self,
        items: Option<&[(&'static str, u64)]>,
        (start, end): (i64, i64),
        (limit, hold, payment): (u32, u32, PaymentTerms),
        item_limits: &[(&'static str, u16)],
    ) {
        let limits: HashMap<_, _> = item_limits.iter().copied().collect();
        let explicit = |&(id, stock): &(&'static str, u64)| NewItem {
            id,
            name: id,
            image_url: "",
            stock,
            max_per_user: limits.get(id).and_then(|limit| NonZeroU16::new(*limit)),
        };
        let catalogue = match items {
            None => NewCatalogue::Generated {
                item_count: 4,
                seed: 1,
            },
            Some(items) => NewCatalogue::Explicit(items.iter().map(explicit).collect()),
        };
        let new = NewSale {
            started_at: Timestamp::from_seconds(start),
            ended_at: Timestamp::from_seconds(end),
            max_items_per_user: limit,
            hold_seconds: hold,
            payment,
            catalogue,
        };
        let created = self.engine.create_sale(&new).expect("it is allowed");
        self.wait(created.lsn);
        let generated = || (0..4).map(|index| (format!("ITM-1-{index}"), 1)).collect();
        let named = |items: &[(&str, u64)]| {
            items
                .iter()
                .map(|(id, stock)| ((*id).to_owned(), *stock))
                .collect()
        };
        let items: Vec<_> = items.map_or_else(generated, named);
        self.model.sales.push(ModelSale {
            singles: items.iter().map(|(_, stock)| *stock == 1).collect(),
            stock_changes: HashMap::new(),
            items,
            item_limits: limits
                .iter()
                .map(|(id, limit)| ((*id).to_owned(), u32::from(*limit)))
                .collect(),
            start,
            end,
            limit,
            hold: i64::from(hold),
            payment: i64::from(payment.seconds),
            by_shop: payment.purchase_by == PurchaseBy::Shop,
            closed: false,
            paused: false,
            archived: false,
        });
    }

    fn wait(&self, lsn: Option<Lsn>) {
        if let Some(lsn) = lsn {
            self.engine.journal().wait(lsn).expect("the disk works");
        }
    }

    /// Takes a step on both sides; the outcome's name, if the step has one.
    pub fn take(&mut self, step: &Step) -> Option<&'static str> {
        match *step {
            Step::Checkout {
                user,
                item,
                quantity,
                sale,
                key,
            } => {
                let id = IDS[item];
                return Some(self.checkout(&Asked {
                    user,
                    id,
                    quantity,
                    sale,
                    key,
                }));
            }
            Step::Again(choice) => return self.ask_again(choice),
            Step::Purchase { code, key } => return Some(self.purchase(code, key)),
            Step::Pay(code) => return Some(self.pay(code)),
            Step::Confirm {
                code,
                reference,
                late,
            } => return Some(self.confirm(code, reference, late)),
            Step::Look(code) => return Some(self.look(code)),
            Step::GiveBack { code, line } => return Some(self.give_back(code, line)),
            Step::Wait(seconds) => {
                self.now += seconds;
                self.clock.set(Timestamp::from_seconds(self.now));
            }
            Step::Close(sale) => {
                let closed = self.engine.close_sale(SaleId(sale));
                let known = sale as usize <= self.model.sales.len();
                let expected = known.then(|| self.model.close(sale as usize - 1));
                assert_eq!(closed.map(|lsn| lsn.is_some()), expected);
            }
            Step::Pause(sale) => self.change(sale, SaleChange::Paused, |sale| {
                Ok(!std::mem::replace(&mut sale.paused, true))
            }),
            Step::Resume(sale) => self.change(sale, SaleChange::Resumed, |sale| {
                Ok(std::mem::replace(&mut sale.paused, false))
            }),
            Step::Extend(sale, seconds) => {
                let known = self.model.sales.get(sale as usize - 1);
                let end = known.map_or(0, |sale| sale.end) + seconds;
                let change = SaleChange::Extended(Timestamp::from_seconds(end));
                self.change(sale, change, |sale| match seconds {
                    ..0 => Err("not later"),
                    _ => Ok(std::mem::replace(&mut sale.end, end) != end),
                });
            }
            Step::ChangeStock {
                sale,
                item,
                units,
                reference,
            } => return Some(self.change_stock(sale, IDS[item], units, reference)),
            Step::Cancel {
                code,
                line,
                reference,
                restock,
            } => return Some(self.cancel(code, line, reference, restock)),
            Step::CloseEnded => {
                let expected = self.model.close_ended(self.now);
                assert_eq!(self.engine.close_ended(), expected);
            }
            Step::Release => {
                let expected = self.model.release(self.now);
                assert_eq!(self.engine.release_expired(), expected);
            }
            Step::PutAway { snapshot } => self.put_away(snapshot),
            Step::Crash { gently, seed } => self.crash(gently, seed),
        }
        None
    }

    fn change(
        &mut self,
        sale: u32,
        change: SaleChange,
        expected: impl FnOnce(&mut ModelSale) -> Result<bool, &'static str>,
    ) {
        let changed = self.engine.change_sale(SaleId(sale), change);
        let changed = changed.map(|lsn| lsn.is_some());
        let changed = changed.map_err(|error| match error {
            ChangeError::NotFound => "no such sale",
            ChangeError::Over => "over",
            ChangeError::NotLater { .. } => "not later",
            ChangeError::TooLong | ChangeError::Unavailable(_) => panic!("{error:?}"),
        });
        assert_eq!(changed, self.model.change(sale, self.now, expected));
    }

    fn change_stock(&mut self, sale: u32, id: &str, units: i64, reference: usize) -> &'static str {
        let text = format!("ref-{reference}");
        let request = StockChangeRequest {
            sale: SaleId(sale),
            item: ItemId::new(id).expect("an id"),
            units: NonZeroI64::new(units).expect("units"),
            reference: Reference::new(&text).expect("a reference"),
        };
        let mut changed = self.engine.change_stock(&request).map(|(.., lsn)| lsn);
        if changed == Err(StockChangeError::SaleArchived) {
            let ended = *self
                .engine
                .ended()
                .get(SaleId(sale))
                .expect("it was put away");
            let sale = load_ended(&self.disk, dir(), &ended).expect("intact");
            changed = sale.repeated_stock_change(&request).map(|_| None);
        }
        let changed = changed.map(|lsn| {
            self.wait(lsn);
            lsn.is_some()
        });
        let changed = changed.map_err(|error| match error {
            StockChangeError::SaleNotFound => "no such sale",
            StockChangeError::Over => "over",
            StockChangeError::ItemNotFound => "no such item",
            StockChangeError::Single => "single",
            StockChangeError::ReferenceReused => "ref reused",
            StockChangeError::InUse { free } => {
                assert!(free < units.unsigned_abs());
                "in use"
            }
            _ => panic!("{error:?}"),
        });
        let expected = self
            .model
            .change_stock(sale, id, units, reference, self.now);
        assert_eq!(changed, expected);
        match changed {
            Ok(true) => "stock changed",
            Ok(false) => "stock changed before",
            Err(why) => why,
        }
    }

    fn cancel(
        &mut self,
        choice: usize,
        line: Option<(usize, Option<u32>)>,
        reference: usize,
        restock: bool,
    ) -> &'static str {
        let code = self.choose_code(choice);
        let id = line.map(|(place, _)| self.id_in(code, place));
        let quantity = line.and_then(|(_, quantity)| quantity);
        let text = format!("ref-{reference}");
        let request = CancelRequest {
            code,
            item: id.as_deref().map(|id| ItemId::new(id).expect("an id")),
            quantity,
            restock,
            reference: Reference::new(&text).expect("a reference"),
        };
        let SaleDecision { outcome, lsn, .. } = self.engine.cancel(&request);
        let mut decision = Decision { outcome, lsn };
        if decision.outcome == CancelOutcome::SaleArchived {
            let ended = *self.engine.ended().get(code.sale).expect("it was put away");
            let sale = load_ended(&self.disk, dir(), &ended).expect("intact");
            decision = self.engine.cancel_in(&sale, &request);
        }
        self.wait(decision.lsn);
        let got = match &decision.outcome {
            CancelOutcome::Cancelled { lines, replayed } => Answer {
                lines: lines
                    .iter()
                    .map(|line| (line.item.0, line.quantity, true))
                    .collect(),
                ..answer(
                    if *replayed {
                        "cancelled before"
                    } else {
                        "cancelled"
                    },
                    0,
                )
            },
            CancelOutcome::CheckoutNotFound => answer("no checkout", 0),
            CancelOutcome::NotPurchased => answer("not purchased", 0),
            CancelOutcome::ItemNotPurchased => answer("not in it", 0),
            CancelOutcome::AlreadyCancelled => answer("all cancelled", 0),
            CancelOutcome::QuantityNotAllowed { max } => answer("quantity", *max),
            CancelOutcome::ReferenceReused => answer("ref reused", 0),
            CancelOutcome::SaleClosed => answer("over", 0),
            CancelOutcome::SaleArchived => panic!("it was loaded"),
            CancelOutcome::Unavailable(why) => panic!("{why:?}"),
        };
        let asked = AskedCancellation {
            code: &code.to_string(),
            id: id.as_deref(),
            quantity,
            reference,
            restock,
        };
        let expected = self.model.cancel(&asked, self.now);
        assert_eq!(got, expected);
        expected.name
    }

    fn put_away(&mut self, with_snapshot: bool) {
        let journal = self.engine.journal();
        let last = Lsn(journal.status().appended_lsn);
        self.wait(Some(last).filter(|last| *last > Lsn::ZERO));
        let before = dump_whole(&self.disk, dir(), &State::of_engine(&self.engine));
        let left = self.engine.put_ended_away(0);
        for sale in left.expect("the disk works") {
            let model = &self.model.sales[sale.id().0 as usize - 1];
            assert!(model.closed);
        }
        if with_snapshot {
            let (journal, entropy) = (self.engine.journal(), SeededEntropy::new(9));
            let written =
                write_snapshot(&self.disk, dir(), journal.durable(), &*self.clock, &entropy);
            written.expect("the disk works");
        }
        let after = dump_whole(&self.disk, dir(), &State::of_engine(&self.engine));
        assert_eq!(after, before);
        self.look_who_is_archived();
    }

    fn look_who_is_archived(&mut self) {
        let ended = self.engine.ended();
        for (place, sale) in self.model.sales.iter_mut().enumerate() {
            sale.archived = ended.get(SaleId(place as u32 + 1)).is_some();
        }
    }

    /// The engine's own answer, from the sale's file where the sale has left memory.
    fn ask(&self, asked: &Asked<'_>) -> CheckoutOutcome {
        let name = format!("user {}", asked.user);
        let key = asked.key.map(|key| KEYS[key]);
        let request = CheckoutRequest {
            user: UserId::new(&name).expect("an id"),
            item: ItemId::new(asked.id).expect("an id"),
            quantity: asked.quantity,
            sale: asked.sale.map(SaleId),
            key: key.map(|key| IdempotencyKey::new(key).expect("a key")),
        };
        let mut decision = self.engine.checkout(&request);
        if let CheckoutOutcome::SaleArchived(sale) = decision.outcome {
            let ended = *self.engine.ended().get(sale).expect("it was put away");
            let sale = load_ended(&self.disk, dir(), &ended).expect("intact");
            decision = self.engine.checkout_of(&sale, &request);
        }
        self.wait(decision.lsn);
        decision.outcome
    }

    fn checkout(&mut self, asked: &Asked<'_>) -> &'static str {
        let got = self.ask(asked);
        let (sale, item, open) = match self.model.checkout(asked, self.now) {
            Answered::Refused(expected) => {
                assert_eq!(named(&got), expected);
                return expected.name;
            }
            Answered::Before(place) => {
                self.check_repeated(&got, &self.model.keys[place]);
                return "accepted before";
            }
            Answered::Accepted(expected, sale, item, open) => {
                assert_eq!(named(&got), expected);
                (sale, item, open)
            }
        };
        let CheckoutOutcome::Accepted {
            code,
            items_count,
            sale_ends_at,
            held_until,
            replayed: false,
        } = got
        else {
            panic!("{got:?} for the first time");
        };
        let terms = &self.model.sales[sale];
        assert_eq!(sale_ends_at, Timestamp::from_seconds(terms.end));
        match open {
            Some(open) => assert_eq!(open, code.to_string(), "the code stays the same"),
            None => self.codes.push(code),
        }
        let line = (item, asked.quantity);
        let fresh = || Checkout {
            sale,
            user: asked.user,
            until: (terms.hold > 0).then_some(self.now + terms.hold),
            lines: Vec::new(),
            paying: None,
            end: None,
            cancelled: Vec::new(),
        };
        let checkouts = &mut self.model.checkouts;
        let checkout = checkouts.entry(code.to_string()).or_insert_with(fresh);
        checkout.lines.push(line);
        let until = checkout.until;
        assert_eq!(held_until, until.map(Timestamp::from_seconds));
        if let Some(key) = asked.key {
            self.model.keep(Keyed {
                sale,
                user: asked.user,
                key,
                line,
                code: code.to_string(),
                items_count,
                held_until: until,
                sale_ends_at: self.model.sales[sale].end,
            });
        }
        "accepted"
    }

    fn ask_again(&mut self, choice: usize) -> Option<&'static str> {
        let place = choice.checked_rem(self.model.keys.len())?;
        let keyed = &self.model.keys[place];
        let (item, quantity) = keyed.line;
        let id = self.model.sales[keyed.sale].items[item as usize].0.clone();
        let asked = Asked {
            user: keyed.user,
            id: &id,
            quantity,
            sale: Some(keyed.sale as u32 + 1),
            key: Some(keyed.key),
        };
        Some(self.checkout(&asked))
    }

    fn check_repeated(&self, got: &CheckoutOutcome, keyed: &Keyed) {
        let CheckoutOutcome::Accepted { code, .. } = got else {
            panic!("{got:?} to a key that was answered");
        };
        assert_eq!(code.to_string(), keyed.code);
        let expected = CheckoutOutcome::Accepted {
            code: *code,
            items_count: keyed.items_count,
            sale_ends_at: Timestamp::from_seconds(keyed.sale_ends_at),
            held_until: keyed.held_until.map(Timestamp::from_seconds),
            replayed: true,
        };
        assert_eq!(*got, expected);
    }

    /// Mostly a code whose checkout is open; sometimes a used one, and sometimes nobody's.
    fn choose_code(&self, choice: usize) -> CheckoutCode {
        let is_open = |code: &&CheckoutCode| self.model.checkouts[&code.to_string()].end.is_none();
        let open = self.codes.iter().filter(is_open);
        let chosen: Vec<_> = match choice {
            0..16 if open.clone().next().is_some() => open.collect(),
            0..29 => self.codes.iter().collect(),
            _ => Vec::new(),
        };
        let unknown = CheckoutCode {
            sale: SaleId(1 + choice as u32 % 3),
            secret: 1,
        };
        let place = (choice * 7).checked_rem(chosen.len());
        place.map_or(unknown, |place| *chosen[place])
    }

    fn purchase(&mut self, choice: usize, key: Option<usize>) -> &'static str {
        let code = self.choose_code(choice);
        let text = key.map(|key| IdempotencyKey::new(KEYS[key]).expect("a key"));
        let SaleDecision { outcome, lsn, .. } = self.engine.purchase(code, text);
        let mut decision = Decision { outcome, lsn };
        if decision.outcome == PurchaseOutcome::SaleArchived {
            let ended = *self.engine.ended().get(code.sale).expect("it was put away");
            let sale = load_ended(&self.disk, dir(), &ended).expect("intact");
            decision = self.engine.purchase_of(&sale, code, text);
        }
        self.wait(decision.lsn);
        let expected = self.model.purchase(&code.to_string(), key, self.now);
        let with = with_lines;
        let got = match &decision.outcome {
            PurchaseOutcome::Processed {
                result,
                replayed: true,
            } => with("repeated", &result.lines),
            PurchaseOutcome::Processed { result, .. } if result.any_sold() => {
                with("bought", &result.lines)
            }
            PurchaseOutcome::Processed { result, .. } => with("nothing left", &result.lines),
            PurchaseOutcome::AlreadyProcessed { result } => with("used before", &result.lines),
            PurchaseOutcome::CheckoutNotFound => answer("no checkout", 0),
            PurchaseOutcome::SaleNotActive => answer("sale over", 0),
            PurchaseOutcome::ShopConfirms => answer("shop confirms", 0),
            PurchaseOutcome::CheckoutExpired => answer("expired", 0),
            PurchaseOutcome::SaleArchived => panic!("it was loaded"),
            PurchaseOutcome::Unavailable(why) => panic!("{why:?}"),
        };
        assert_eq!(got, expected);
        expected.name
    }

    fn pay(&mut self, choice: usize) -> &'static str {
        let code = self.choose_code(choice);
        let SaleDecision { outcome, lsn, .. } = self.engine.begin_payment(code);
        let mut decision = Decision { outcome, lsn };
        if decision.outcome == PaymentOutcome::SaleArchived {
            let ended = *self.engine.ended().get(code.sale).expect("it was put away");
            let sale = load_ended(&self.disk, dir(), &ended).expect("intact");
            decision = self.engine.payment_of(&sale, code);
        }
        self.wait(decision.lsn);
        let got = match &decision.outcome {
            PaymentOutcome::Begun(payment) => {
                assert_eq!(payment.code, code);
                let lines = payment.lines.iter();
                let line = |line: &BasketLine| (line.item.0, line.quantity, line.is_held);
                Answer {
                    lines: lines.map(line).collect(),
                    ..answer("paying", payment.held_until.seconds() as u32)
                }
            }
            PaymentOutcome::AllItemsSold { result } => with_lines("nothing left", &result.lines),
            PaymentOutcome::AlreadyProcessed { result } => with_lines("used before", &result.lines),
            PaymentOutcome::NotOffered => answer("no payments", 0),
            PaymentOutcome::CheckoutNotFound => answer("no checkout", 0),
            PaymentOutcome::SaleNotActive => answer("sale over", 0),
            PaymentOutcome::CheckoutExpired => answer("expired", 0),
            PaymentOutcome::SaleArchived => panic!("it was loaded"),
            PaymentOutcome::Unavailable(why) => panic!("{why:?}"),
        };
        let expected = self.model.pay(&code.to_string(), self.now);
        assert_eq!(got, expected);
        expected.name
    }

    fn confirm(&mut self, choice: usize, reference: usize, late: bool) -> &'static str {
        let code = self.choose_code(choice);
        let request = ConfirmRequest {
            code,
            payment_ref: Reference::new(REFERENCES[reference]).expect("a reference"),
            late,
        };
        let SaleDecision { outcome, lsn, .. } = self.engine.confirm(&request);
        let mut decision = Decision { outcome, lsn };
        if decision.outcome == ConfirmOutcome::SaleArchived {
            let ended = *self.engine.ended().get(code.sale).expect("it was put away");
            let sale = load_ended(&self.disk, dir(), &ended).expect("intact");
            decision = self.engine.confirm_of(&sale, &request);
        }
        self.wait(decision.lsn);
        let before = self.model.checkouts.get(&code.to_string());
        let first = before.and_then(|checkout| match &checkout.end {
            Some(End::Processed(Token::Payment(first), _)) => Some(REFERENCES[*first]),
            _ => None,
        });
        let expected = self
            .model
            .confirm(&code.to_string(), reference, late, self.now);
        let got = match &decision.outcome {
            ConfirmOutcome::Processed {
                result,
                replayed: true,
            } => with_lines("repeated", &result.lines),
            ConfirmOutcome::Processed { result, .. } if result.any_sold() => {
                // Whether it was late is the model's to know.
                let name = match expected.name {
                    "bought late" => "bought late",
                    _ => "bought",
                };
                with_lines(name, &result.lines)
            }
            ConfirmOutcome::Processed { result, .. } => with_lines("nothing left", &result.lines),
            ConfirmOutcome::AlreadyProcessed {
                result,
                payment_ref,
            } => {
                assert_eq!(payment_ref.as_deref(), first);
                with_lines("used before", &result.lines)
            }
            ConfirmOutcome::CheckoutNotFound => answer("no checkout", 0),
            ConfirmOutcome::SaleNotActive => answer("sale over", 0),
            ConfirmOutcome::CheckoutExpired => answer("expired", 0),
            ConfirmOutcome::SaleArchived => panic!("it was loaded"),
            ConfirmOutcome::Unavailable(why) => panic!("{why:?}"),
        };
        assert_eq!(got, expected);
        expected.name
    }

    fn look(&mut self, choice: usize) -> &'static str {
        let code = self.choose_code(choice);
        let decision = self.engine.contents(code);
        self.check_contents(decision, code, Wanted::Look)
    }

    fn give_back(&mut self, choice: usize, line: Option<(usize, Option<u32>)>) -> &'static str {
        let code = self.choose_code(choice);
        let id = line.map(|(place, _)| self.id_in(code, place));
        let quantity = line.and_then(|(_, quantity)| quantity);
        let decision = self.engine.release(&ReleaseRequest {
            code,
            item: id.as_deref().map(|id| ItemId::new(id).expect("an id")),
            quantity,
        });
        let wanted = match &id {
            None => Wanted::GiveAllBack,
            Some(id) => Wanted::GiveBack(id, quantity),
        };
        self.check_contents(decision, code, wanted)
    }

    /// The id of the item at `place` in a checkout, or of one that may be in none.
    fn id_in(&self, code: CheckoutCode, place: usize) -> String {
        let checkout = self.model.checkouts.get(&code.to_string());
        let line = checkout.and_then(|checkout| Some((checkout, checkout.lines.get(place)?)));
        match line {
            Some((checkout, &(item, _))) => self.model.sales[checkout.sale].items[item as usize]
                .0
                .clone(),
            None => IDS[place].to_owned(),
        }
    }

    fn check_contents(
        &mut self,
        decision: SaleDecision<ContentsOutcome>,
        code: CheckoutCode,
        wanted: Wanted<'_>,
    ) -> &'static str {
        let SaleDecision { outcome, lsn, .. } = decision;
        let mut decision = Decision { outcome, lsn };
        if decision.outcome == ContentsOutcome::SaleArchived {
            let ended = *self.engine.ended().get(code.sale).expect("it was put away");
            let sale = load_ended(&self.disk, dir(), &ended).expect("intact");
            decision = self.engine.contents_of(&sale, code);
        }
        self.wait(decision.lsn);
        let got = match &decision.outcome {
            ContentsOutcome::Contents(contents) => {
                let lines = contents.lines.iter();
                let line = |line: &BasketLine| (line.item.0, line.quantity, line.is_held);
                Answer {
                    lines: lines.map(line).collect(),
                    ..answer("contents", 0)
                }
            }
            ContentsOutcome::AlreadyProcessed { result, cancelled } => {
                let lines = result.lines.iter();
                let cancelled = cancelled.iter().map(|line| (line.item.0, line.quantity));
                assert_eq!(
                    cancelled.collect::<Vec<_>>(),
                    self.model.cancelled_of(&code.to_string())
                );
                Answer {
                    lines: lines
                        .map(|line| (line.item.0, line.quantity, line.sold))
                        .collect(),
                    ..answer("used before", 0)
                }
            }
            ContentsOutcome::QuantityNotAllowed { max } => answer("quantity", *max),
            ContentsOutcome::ItemNotInCheckout => answer("not in it", 0),
            ContentsOutcome::CheckoutNotFound => answer("no checkout", 0),
            ContentsOutcome::SaleNotActive => answer("sale over", 0),
            ContentsOutcome::CheckoutExpired => answer("expired", 0),
            ContentsOutcome::SaleArchived => panic!("it was loaded"),
            ContentsOutcome::Unavailable(why) => panic!("{why:?}"),
        };
        let expected = self.model.contents(&code.to_string(), wanted, self.now);
        assert_eq!(got, expected);
        let open = self.model.checkouts.contains_key(&code.to_string());
        self.codes.retain(|known| open || *known != code);
        expected.name
    }

    /// Ends the engine, by closing it or by cutting its power, and recovers it.
    pub fn crash(&mut self, gently: bool, seed: u64) {
        let live = State::of_engine(&self.engine);
        live.check(Lsn::ZERO).expect("every unit is somewhere");
        for sale in live.sales() {
            let place = sale.id().0 as usize - 1;
            let figures = sale.figures();
            let expected = self.model.figures(place);
            assert_eq!((figures.total, figures.sold, figures.held), expected);
        }
        let journal = self.engine.journal();
        if gently {
            journal.close();
        } else {
            // Nobody is told of the releases, so nobody waited for them.
            let last = journal.append(
                Timestamp::default(),
                &Record::Refused {
                    sale: None,
                    user: "the last",
                    item: "",
                    reason: RefusedReason::ItemNotFound,
                },
            );
            self.wait(Some(last));
            let survived = self.disk.crash(seed);
            journal.close();
            self.disk = survived;
        }
        let live = dump_whole(&self.disk, dir(), &live);
        self.engine = open(&self.disk, &self.clock, self.opened);
        self.opened += 1;
        let recovered = State::of_engine(&self.engine);
        assert_eq!(dump_whole(&self.disk, dir(), &recovered), live);
        self.look_who_is_archived();
    }
}

fn with_lines(name: &'static str, lines: &[PurchasedLine]) -> Answer {
    let lines = lines.iter();
    let line = |line: &PurchasedLine| (line.item.0, line.quantity, line.sold);
    Answer {
        lines: lines.map(line).collect(),
        ..answer(name, 0)
    }
}

/// A checkout's outcome as the model has it.
fn named(outcome: &CheckoutOutcome) -> Answer {
    match outcome {
        CheckoutOutcome::Accepted { items_count, .. } => answer("accepted", *items_count),
        CheckoutOutcome::ItemNotFound => answer("not found", 0),
        CheckoutOutcome::QuantityNotAllowed { max } => answer("quantity", *max),
        CheckoutOutcome::SaleNotActive => answer("not active", 0),
        CheckoutOutcome::SalePaused => answer("paused", 0),
        CheckoutOutcome::UserLimitExceeded { limit } => answer("limit", *limit),
        CheckoutOutcome::ItemLimitExceeded { limit } => answer("item limit", *limit),
        CheckoutOutcome::ItemAlreadyInCheckout { .. } => answer("already", 0),
        CheckoutOutcome::PaymentUnderWay => answer("payment under way", 0),
        CheckoutOutcome::IdempotencyKeyReused => answer("key reused", 0),
        CheckoutOutcome::ItemSoldOut => answer("sold out", 0),
        CheckoutOutcome::ItemHeld {
            retry_after_seconds,
        } => {
            let longest = HOLD_SECONDS.max(PAYMENT_SECONDS);
            assert!((1..=u64::from(longest)).contains(retry_after_seconds));
            answer("held", 0)
        }
        CheckoutOutcome::SaleArchived(_) => panic!("it was loaded"),
        CheckoutOutcome::Unavailable(why) => panic!("{why:?}"),
    }
}
