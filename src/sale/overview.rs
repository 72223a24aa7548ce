//! Overviews of sales, in memory or not, that need none of their contents.

use std::iter::Peekable;

use super::ended_sale::EndedSale;
use super::engine::Engine;
use super::sale::{Sale, SaleStatus};
use super::state::State;
use crate::types::{PaymentTerms, SaleId, Timestamp};

/// A sale at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overview {
    /// Its number.
    pub id: SaleId,
    /// From when on it sells.
    pub started_at: Timestamp,
    /// From when on it sells no more.
    pub ended_at: Timestamp,
    /// The sale's status.
    pub status: SaleStatus,
    /// Whether it takes no checkouts for now.
    pub is_paused: bool,
    /// Units of all its items.
    pub total: u64,
    /// Units sold.
    pub sold: u64,
    /// Units that one user may buy.
    pub max_items_per_user: u32,
    /// Seconds that a checkout holds its units; 0 means that it holds none.
    pub hold_seconds: u32,
    /// The terms of paying.
    pub payment: PaymentTerms,
}

impl Overview {
    /// Of a sale in memory, at `now`.
    #[must_use]
    pub fn of(sale: &Sale, now: Timestamp) -> Self {
        let figures = sale.figures();
        Self {
            id: sale.id(),
            started_at: sale.started_at(),
            ended_at: sale.ended_at(),
            status: sale.status(now),
            is_paused: sale.is_paused(),
            total: figures.total,
            sold: figures.sold,
            max_items_per_user: sale.terms().max_items_per_user,
            hold_seconds: sale.terms().hold_seconds,
            payment: sale.terms().payment,
        }
    }
}

impl From<&EndedSale> for Overview {
    fn from(ended: &EndedSale) -> Self {
        Self {
            id: ended.id,
            started_at: ended.terms.started_at,
            ended_at: ended.ended_at(),
            status: SaleStatus::Ended,
            is_paused: false,
            total: ended.total,
            sold: ended.sold,
            max_items_per_user: ended.terms.max_items_per_user,
            hold_seconds: ended.terms.hold_seconds,
            payment: ended.terms.payment,
        }
    }
}

impl Engine {
    /// A sale by its number, in memory or not.
    #[must_use]
    pub fn overview(&self, id: SaleId) -> Option<Overview> {
        match self.sale(id) {
            Some(sale) => Some(Overview::of(&sale, self.now())),
            None => self.ended().get(id).map(Overview::from),
        }
    }

    /// At most `limit` of the sales before `before` that have this status, the newest first.
    #[must_use]
    pub fn overviews(
        &self,
        before: Option<SaleId>,
        status: Option<SaleStatus>,
        limit: usize,
    ) -> Vec<Overview> {
        let (before, now) = (before.unwrap_or(SaleId(u32::MAX)), self.now());
        // In this order, because sales leave the one for the other.
        let (registry, ended) = (self.registry.load(), self.ended.read());
        let in_memory = registry.all().iter().rev();
        let in_memory = in_memory.filter(|sale| sale.id() < before);
        // Of thousands of ended sales none is on, or to come.
        let may_have_ended = status.is_none_or(|wanted| wanted == SaleStatus::Ended);
        let ended = may_have_ended.then(|| ended.newest_before(before));
        let newest_first = NewestFirst {
            in_memory: in_memory.map(|sale| Overview::of(sale, now)).peekable(),
            ended: ended.into_iter().flatten().map(Overview::from).peekable(),
        };
        newest_first
            .filter(|sale| status.is_none_or(|wanted| sale.status == wanted))
            .take(limit)
            .collect()
    }
}

impl State {
    /// All sales, the newest first.
    pub fn overviews(&self, now: Timestamp) -> impl Iterator<Item = Overview> {
        let in_memory = self.sales().iter().rev();
        NewestFirst {
            in_memory: in_memory
                .map(move |sale| Overview::of(sale, now))
                .peekable(),
            ended: self.ended().newest_first().map(Overview::from).peekable(),
        }
    }
}

/// Two lists, the newest first, as one. A sale that was just leaving memory is in both.
struct NewestFirst<M: Iterator, E: Iterator> {
    in_memory: Peekable<M>,
    ended: Peekable<E>,
}

impl<M, E> Iterator for NewestFirst<M, E>
where
    M: Iterator<Item = Overview>,
    E: Iterator<Item = Overview>,
{
    type Item = Overview;

    fn next(&mut self) -> Option<Overview> {
        let Some(in_memory) = self.in_memory.peek() else {
            return self.ended.next();
        };
        if let Some(ended) = self.ended.next_if(|ended| ended.id > in_memory.id) {
            return Some(ended);
        }
        self.ended.next_if(|ended| ended.id == in_memory.id);
        self.in_memory.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overview(id: u32) -> Overview {
        Overview {
            id: SaleId(id),
            started_at: Timestamp(0),
            ended_at: Timestamp(1),
            status: SaleStatus::Ended,
            is_paused: false,
            total: 1,
            sold: 0,
            max_items_per_user: 1,
            hold_seconds: 0,
            payment: PaymentTerms::NONE,
        }
    }

    #[test]
    fn two_lists_become_one_without_doubles() {
        for (in_memory, ended, expected) in [
            (&[9, 8, 3][..], &[8, 7, 2][..], &[9, 8, 7, 3, 2][..]),
            (&[], &[2, 1], &[2, 1]),
            (&[2, 1], &[], &[2, 1]),
            (&[5], &[5], &[5]),
        ] {
            let both = NewestFirst {
                in_memory: in_memory.iter().copied().map(overview).peekable(),
                ended: ended.iter().copied().map(overview).peekable(),
            };
            let ids: Vec<u32> = both.map(|sale| sale.id.0).collect();
            assert_eq!(ids, expected);
        }
    }
}
