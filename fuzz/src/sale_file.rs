//! The files of ended sales, as they are read when somebody asks for such a sale.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use flashsale::env::{Clock, ManualClock, SeededEntropy, SimulatedDisk};
use flashsale::journal::{Durability, Opening, Options, Tools};
use flashsale::sale::{
    EndedSale, Engine, EngineOptions, NewCatalogue, NewSale, Recovered, load_ended,
};
use flashsale::types::{Lsn, PaymentTerms, Timestamp};

use super::disk::{DIR, disk_with, file, split};

/// An ended sale whose file is looked for.
static ENDED: LazyLock<EndedSale> = LazyLock::new(|| {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_seconds(100)));
    let opening = Opening::lock(Arc::new(SimulatedDisk::new()), Path::new(DIR));
    let opening = opening.expect("an empty disk");
    let recovered = Recovered::from_journal(&opening).expect("an empty journal");
    let options = Options {
        durability: Durability::Fsync,
        segment_bytes: 4 << 20,
    };
    let tools = Tools {
        clock: Arc::clone(&clock),
        entropy: Arc::new(SeededEntropy::new(1)),
        fail_stop: Box::new(|error| panic!("{error}")),
    };
    let journal = opening.start(&recovered.replayed, &options, tools);
    let journal = Arc::new(journal.expect("the disk works"));
    let entropy = Arc::new(SeededEntropy::new(2));
    let engine = Engine::new(
        recovered.state,
        Arc::clone(&journal),
        Arc::clone(&clock),
        entropy,
        EngineOptions::default(),
    );
    let sale = engine.create_sale(&NewSale {
        started_at: clock.now(),
        ended_at: clock.now().plus_seconds(60),
        max_items_per_user: 2,
        hold_seconds: 0,
        payment: PaymentTerms::NONE,
        catalogue: NewCatalogue::Generated {
            item_count: 2,
            seed: 1,
        },
    });
    let sale = sale.expect("a sale").outcome;
    engine.close_sale(sale.id());
    journal.close();
    EndedSale::of(&sale).expect("it is closed")
});

/// Loads the sale from `bytes`; an error is as good as a sale.
pub fn take(bytes: &[u8]) {
    let Some((form, _, count, bytes)) = split(bytes) else {
        return;
    };
    let dir = Path::new(DIR);
    let bytes = file(form, ENDED.closing.lsn.0, Lsn(1), count, bytes, true);
    let disk = disk_with(&ENDED.file().path(dir), bytes);
    let _ = load_ended(&*disk, dir, &ENDED);
}
