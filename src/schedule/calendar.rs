//! The calendar: events that become due by the wall clock.

use super::rotation::{Rotation, is_of_rotation};
use crate::sale::Engine;
use crate::types::Timestamp;
use crate::wheel::Wheel;

/// An event that becomes due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CalendarEvent {
    /// A sale begins to sell.
    Opens,
    /// A sale ends.
    Closes,
    /// The rotation has a sale to create.
    Rotates,
}

/// The coming events: sales that open or close, and sales that the rotation creates. The agenda makes a new calendar
/// when a sale comes or goes and when the clock has jumped.
pub(super) struct Calendar {
    events: Wheel<CalendarEvent>,
}

impl Calendar {
    /// Creates the calendar of the events after `checked_until`, with the ends of all open sales, however long ago
    /// those were.
    pub(super) fn of(engine: &Engine, rotation: &Rotation, checked_until: Timestamp) -> Self {
        let now = engine.clock().now();
        let mut events = Wheel::new(checked_until.min(now));
        for sale in engine.open_sales() {
            let terms = sale.terms();
            if terms.started_at > checked_until {
                events.arm(terms.started_at, CalendarEvent::Opens);
            }
            events.arm(terms.ended_at, CalendarEvent::Closes);
        }
        // Also behind a sale that was closed before its end, which may have left memory.
        let (sales, ended) = (engine.sales(), engine.ended());
        let in_memory = sales.iter().map(|sale| sale.terms());
        let all = in_memory.chain(ended.newest_first().map(|sale| sale.terms));
        for terms in all.filter(|terms| is_of_rotation(terms) && terms.ended_at > checked_until) {
            events.arm(rotation.turn_before(terms.ended_at), CalendarEvent::Rotates);
        }
        events.arm(
            rotation.next_turn(checked_until.min(now)),
            CalendarEvent::Rotates,
        );
        Self { events }
    }

    /// Removes and returns the first event that is due.
    pub(super) fn next_due_event(&mut self, now: Timestamp) -> Option<CalendarEvent> {
        self.events.pop_due(now).map(|(_, event)| event)
    }

    /// Returns when the next event is due at the earliest.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.events.next_due()
    }

    /// Adds an event.
    pub(super) fn add(&mut self, at: Timestamp, event: CalendarEvent) {
        self.events.arm(at, event);
    }
}
