//! Which requests a journey is made of, and their bytes.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use flashsale::types::CheckoutCode;

use super::answer::Kind;
use super::plan::{Plan, Sale, Workload};

/// Most requests of a journey.
const STEPS_MAX: usize = 8;
/// Items that everybody wants in [`Workload::HotItem`].
pub(super) const HOT_ITEMS: usize = 4;
/// Items of a page that is looked at.
const PAGE_ITEMS: u32 = 20;
/// Share of requests that go to the popular items.
const POPULAR_REQUESTS: f64 = 0.8;
/// One of how many items is popular.
const POPULAR_ONE_OF: u32 = 5;

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Active,
    Sale,
    /// A page that begins at an item.
    Items(u32),
    Checkout(u32),
    /// Of what was checked out before; nothing where all of that was refused.
    Purchase,
}

/// A user's requests, each of which follows the answer to the one before it.
#[derive(Clone, Debug)]
pub(super) struct Journey {
    user: u64,
    steps: [Step; STEPS_MAX],
    length: usize,
    next: usize,
    /// The open checkout, and the units in it.
    checkout: Option<(CheckoutCode, u32)>,
}

impl Journey {
    fn new(user: u64, steps: &[Step]) -> Self {
        let mut journey = Self {
            user,
            steps: [Step::Purchase; STEPS_MAX],
            length: steps.len(),
            next: 0,
            checkout: None,
        };
        journey.steps[..steps.len()].copy_from_slice(steps);
        journey
    }

    /// Goes on to the next request; `None` at the end.
    pub(super) fn advance(&mut self) -> Option<Kind> {
        self.next += 1;
        match self.step()? {
            Step::Purchase if self.checkout.is_none() => self.advance(),
            step => Some(step.kind()),
        }
    }

    /// Returns the kind of the next request.
    pub(super) fn kind(&self) -> Option<Kind> {
        self.step().map(Step::kind)
    }

    /// A checkout was accepted.
    pub(super) fn checked_out(&mut self, code: CheckoutCode) {
        let units = self.checkout.map_or(0, |(_, units)| units);
        self.checkout = Some((code, units + 1));
    }

    /// The code of the open checkout and the units in it.
    pub(super) fn checkout(&self) -> Option<(CheckoutCode, u32)> {
        self.checkout
    }

    fn step(&self) -> Option<Step> {
        self.steps[..self.length].get(self.next).copied()
    }
}

impl Step {
    fn kind(self) -> Kind {
        match self {
            Step::Checkout(_) => Kind::Checkout,
            Step::Purchase => Kind::Purchase,
            Step::Active | Step::Sale | Step::Items(_) => Kind::Get,
        }
    }
}

/// The journeys of one thread.
#[derive(Debug)]
pub(super) struct Script {
    workload: Workload,
    sale: Sale,
    users: u64,
    /// Items that could be had before the run, in the order in which they are asked for.
    free: Arc<[u32]>,
    /// Each of them is asked for once.
    items_once: bool,
    /// Checkouts that wait to be purchased.
    prepared: Vec<CheckoutCode>,
    /// While checkouts are prepared: how many more, and the codes so far.
    preparing: Option<(u64, Vec<CheckoutCode>)>,
    /// The item of every checkout, where it is a listed one.
    listed_item: Option<String>,
    prefix: String,
    /// The bytes that every request ends with.
    tail: String,
    next_number: u64,
    lanes: u64,
    lots: fastrand::Rng,
}

impl Script {
    /// The journeys of thread `lane`.
    pub(super) fn new(plan: &Plan, sale: Sale, free: &Arc<[u32]>, lane: usize) -> Self {
        Self {
            workload: plan.workload,
            sale,
            users: u64::from(plan.users),
            free: Arc::clone(free),
            items_once: plan.items_once,
            prepared: Vec::new(),
            preparing: None,
            listed_item: plan.listed_item.clone(),
            prefix: plan.prefix.clone(),
            tail: tail(plan.address),
            next_number: lane as u64,
            lanes: plan.threads as u64,
            lots: fastrand::Rng::with_seed(plan.seed ^ (lane as u64 + 1)),
        }
    }

    /// Returns this journey with checkouts to purchase.
    pub(super) fn with_prepared(self, prepared: Vec<CheckoutCode>) -> Self {
        Self { prepared, ..self }
    }

    /// Returns this journey as one that only checks `count` items out and collects the codes.
    pub(super) fn preparing(self, count: u64) -> Self {
        let preparing = Some((count, Vec::with_capacity(count as usize)));
        Self { preparing, ..self }
    }

    /// Keeps the code of an accepted checkout if it is being prepared.
    pub(super) fn collect(&mut self, code: CheckoutCode) {
        if let Some((_, codes)) = &mut self.preparing {
            codes.push(code);
        }
    }

    /// The codes that were collected.
    pub(super) fn into_collected(self) -> Vec<CheckoutCode> {
        self.preparing.map(|(_, codes)| codes).unwrap_or_default()
    }

    /// The next journey; `None` when what was prepared is used up.
    pub(super) fn begin(&mut self) -> Option<Journey> {
        let number = self.next_number;
        self.next_number += self.lanes;
        if let Some((left, _)) = &mut self.preparing {
            *left = left.checked_sub(1)?;
            let item = self.item_in_turn(number)?;
            return Some(Journey::new(number, &[Step::Checkout(item)]));
        }
        Some(match self.workload {
            Workload::Checkout => {
                let turn = match self.items_once {
                    true => number,
                    false => number % self.free.len().max(1) as u64,
                };
                let item = self.item_in_turn(turn)?;
                Journey::new(number, &[Step::Checkout(item)])
            }
            Workload::Buy => {
                let item = self.item_in_turn(number)?;
                Journey::new(number, &[Step::Checkout(item), Step::Purchase])
            }
            Workload::Purchase => {
                let code = self.prepared.pop()?;
                let mut journey = Journey::new(number, &[Step::Purchase]);
                journey.checked_out(code);
                journey
            }
            Workload::SoldOut => Journey::new(number, &[Step::Checkout(0)]),
            Workload::HotItem => {
                let hot = &self.free[..HOT_ITEMS.min(self.free.len())];
                let item = hot[self.lots.usize(..hot.len())];
                Journey::new(number, &[Step::Checkout(item), Step::Purchase])
            }
            Workload::OneUser => Journey::new(0, &[Step::Checkout(self.any_item())]),
            Workload::ManyUsers => {
                let user = self.lots.u64(..self.users);
                Journey::new(user, &[Step::Checkout(self.any_item())])
            }
            Workload::Active => Journey::new(number, &[Step::Active]),
            Workload::Browse => Journey::new(number, &[self.browse()]),
            Workload::Realistic => self.realistic(number),
        })
    }

    /// One of ten takes several items at once, six look and take one or two, three only look.
    fn realistic(&mut self, user: u64) -> Journey {
        let mut steps = [Step::Purchase; STEPS_MAX];
        let mut length = 0;
        let mut push = |step| {
            steps[length] = step;
            length += 1;
        };
        let (looks, items) = match self.lots.u32(..10) {
            0 => (0, self.lots.u32(2..=5)),
            1..7 => (1, self.lots.u32(1..=2)),
            _ => (self.lots.u32(1..=3), 0),
        };
        (0..looks).for_each(|_| push(self.browse()));
        (0..items).for_each(|_| push(Step::Checkout(self.popular_item())));
        if items > 0 {
            push(Step::Purchase);
        }
        Journey::new(user, &steps[..length])
    }

    fn browse(&mut self) -> Step {
        match self.lots.u32(..4) {
            0 | 1 => Step::Active,
            2 => Step::Sale,
            _ => Step::Items(self.popular_item()),
        }
    }

    /// The free item of the buyer with this number; `None` when all are taken.
    fn item_in_turn(&self, number: u64) -> Option<u32> {
        self.free.get(usize::try_from(number).ok()?).copied()
    }

    fn any_item(&mut self) -> u32 {
        self.lots.u32(..self.sale.total_items)
    }

    fn popular_item(&mut self) -> u32 {
        let popular = (self.sale.total_items / POPULAR_ONE_OF).max(1);
        if self.lots.f64() < POPULAR_REQUESTS || popular == self.sale.total_items {
            self.lots.u32(..popular)
        } else {
            self.lots.u32(popular..self.sale.total_items)
        }
    }

    /// Writes the bytes of a journey's next request.
    pub(super) fn write(&self, journey: &Journey, out: &mut Vec<u8>) {
        let sale = self.sale.id;
        // Writing into memory cannot fail.
        let _ = match (journey.step(), journey.checkout) {
            (Some(Step::Checkout(item)), _) => {
                let (prefix, user) = (&self.prefix, journey.user);
                let _ = write!(out, "POST /checkout?user_id={prefix}{user}&id=");
                match &self.listed_item {
                    Some(id) => write!(out, "{id}"),
                    None => write!(out, "ITM-{sale}-{item}"),
                }
            }
            (Some(Step::Purchase), Some((code, _))) => write!(out, "POST /purchase?code={code}"),
            (Some(Step::Sale), _) => write!(out, "GET /sales/{sale}"),
            (Some(Step::Items(item)), _) => {
                write!(
                    out,
                    "GET /sales/{sale}/items?limit={PAGE_ITEMS}&cursor={item}"
                )
            }
            (Some(Step::Active | Step::Purchase) | None, _) => write!(out, "GET /sales/active"),
        };
        out.extend_from_slice(self.tail.as_bytes());
    }
}

/// The rest of a request behind its path. A `POST` without a body needs no length.
pub(super) fn tail(address: SocketAddr) -> String {
    format!(" HTTP/1.1\r\nHost: {address}\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn items_that_are_asked_for_once_run_out() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut plan = Plan::new(address, Duration::from_secs(1));
        plan.threads = 2;
        let sale = Sale {
            id: 1,
            total_items: 3,
            items_sold: 0,
        };
        let free: Arc<[u32]> = Arc::new([2, 0, 1]);
        let items = |plan: &Plan, lane| -> Vec<_> {
            let mut script = Script::new(plan, sale, &free, lane);
            let journeys = std::iter::from_fn(|| script.begin()).take(3);
            journeys.map(|journey| journey.step()).collect()
        };
        let checkout = |item| Some(Step::Checkout(item));
        assert_eq!(items(&plan, 0), [2, 1, 0].map(checkout), "all over again");
        plan.items_once = true;
        assert_eq!(items(&plan, 0), [2, 1].map(checkout));
        assert_eq!(items(&plan, 1), [0].map(checkout));
    }
}
