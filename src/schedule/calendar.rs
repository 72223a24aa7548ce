//! What is due when by the wall clock.

use super::rotation::{Rotation, is_of_rotation};
use crate::sale::Engine;
use crate::types::Timestamp;
use crate::wheel::Wheel;

/// What becomes due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A sale begins to sell.
    Opens,
    /// A sale ends.
    Closes,
    /// The rotation has something to prepare.
    Rotates,
}

/// The openings, closings and turns of the rotation that are to come. It is made anew when a sale comes
/// or goes, and when the clock has jumped; there are few of them.
pub(super) struct Calendar {
    events: Wheel<Event>,
}

impl Calendar {
    /// The events after `looked_until`, up to when all was looked at. Endings are in it however long
    /// they have passed.
    pub(super) fn of(engine: &Engine, rotation: &Rotation, looked_until: Timestamp) -> Self {
        let now = engine.clock().now();
        let mut events = Wheel::new(looked_until.min(now));
        for sale in engine.open_sales() {
            let terms = sale.terms();
            if terms.started_at > looked_until {
                events.arm(terms.started_at, Event::Opens);
            }
            events.arm(terms.ended_at, Event::Closes);
        }
        // Also behind a sale that was closed before its end, which may have left memory.
        let (sales, ended) = (engine.sales(), engine.ended());
        let in_memory = sales.iter().map(|sale| sale.terms());
        let all = in_memory.chain(ended.newest_first().map(|sale| &sale.terms));
        for terms in all.filter(|terms| is_of_rotation(terms) && terms.ended_at > looked_until) {
            events.arm(rotation.turn_before(terms.ended_at), Event::Rotates);
        }
        events.arm(rotation.next_turn(looked_until.min(now)), Event::Rotates);
        Self { events }
    }

    /// The first of the events that are due.
    pub(super) fn next_due_event(&mut self, now: Timestamp) -> Option<Event> {
        self.events.pop_due(now).map(|(_, event)| event)
    }

    /// When the next event is due, or may be.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.events.next_due()
    }

    /// Adds an event.
    pub(super) fn add(&mut self, at: Timestamp, event: Event) {
        self.events.arm(at, event);
    }
}
