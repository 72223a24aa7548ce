//! An engine on a simulated disk, for the unit tests of the parts above this one.

use std::sync::Arc;

use super::{Engine, EngineOptions, NewCatalogue, NewSale, Recovered, Sale};
use crate::env::{Clock, ManualClock, OsEntropy, SimulatedDisk};
use crate::journal::{Durability, Opening, Options, Tools};
use crate::types::{PaymentTerms, Timestamp};

/// Returns an engine at second 100 with an empty journal, its clock, and its one sale: ten items, until second 200.
pub(crate) fn engine_with_a_sale() -> (Arc<Engine>, Arc<ManualClock>, Arc<Sale>) {
    engine_with_a_sale_on(SimulatedDisk::new())
}

/// Returns the same, on `disk`.
pub(crate) fn engine_with_a_sale_on(
    disk: SimulatedDisk,
) -> (Arc<Engine>, Arc<ManualClock>, Arc<Sale>) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(100)));
    let opening = Opening::lock(Arc::new(disk), "journal".as_ref());
    let opening = opening.expect("an empty disk");
    let recovered = Recovered::from_journal(&opening).expect("an empty journal");
    let options = Options {
        durability: Durability::Fsync,
        segment_bytes: 4 << 20,
    };
    let tools = Tools {
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        entropy: Arc::new(OsEntropy),
        fail_stop: Box::new(|error| panic!("{error}")),
    };
    let journal = opening.start(&recovered.replayed, &options, tools);
    let engine = Arc::new(Engine::new(
        recovered.state,
        Arc::new(journal.expect("the disk works")),
        Arc::clone(&clock) as Arc<dyn Clock>,
        Arc::new(OsEntropy),
        EngineOptions::default(),
    ));
    let created = engine.create_sale(&NewSale {
        started_at: Timestamp::from_seconds(100),
        ended_at: Timestamp::from_seconds(200),
        max_items_per_user: 10,
        hold_seconds: 0,
        payment: PaymentTerms::NONE,
        catalogue: NewCatalogue::Generated {
            item_count: 10,
            seed: 0,
        },
    });
    (engine, clock, created.expect("a sale").outcome)
}
