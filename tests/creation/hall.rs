//! An engine whose creations can be held up, and what is done with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, Scope, ScopedJoinHandle};

use flashsale::env::{Disk, ManualClock, SeededEntropy};
use flashsale::journal::{Opening, Options};
use flashsale::limits;
use flashsale::record::NewItem;
use flashsale::sale::{
    CheckoutOutcome, CheckoutRequest, CreateError, Decision, Engine, EngineOptions, NewCatalogue,
    NewSale, PurchaseOutcome, Recovered, Sale,
};
use flashsale::types::{ItemId, PaymentTerms, Timestamp, UserId};

use crate::common::{OPTIONS, tools};
use crate::creation::gate::{Gate, HELD};

pub type Created = Result<Decision<Arc<Sale>>, CreateError>;

pub struct Hall {
    pub engine: Engine,
    pub gate: Arc<Gate>,
    pub disk: Arc<dyn Disk>,
    pub dir: PathBuf,
}

impl Hall {
    /// Recovers what is in `dir`, with the shortest segments, so that a catalogue takes several.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, gate: Gate) -> Self {
        let opening = Opening::lock(Arc::clone(&disk), dir).expect("free");
        let recovered = Recovered::from_journal(&opening).expect("intact");
        let options = Options {
            segment_bytes: limits::SEGMENT_BYTES_MIN,
            ..OPTIONS
        };
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(10)));
        let journal = opening.start(&recovered.replayed, &options, tools(&clock, 1));
        let gate = Arc::new(gate);
        let engine = Engine::new(
            recovered.state,
            Arc::new(journal.expect("room")),
            Arc::clone(&gate) as _,
            Arc::new(SeededEntropy::new(2)),
            EngineOptions::default(),
        );
        let dir = dir.to_owned();
        Self {
            engine,
            gate,
            disk,
            dir,
        }
    }

    pub fn create(&self, catalogue: NewCatalogue<'_>) -> Created {
        self.engine.create_sale(&new_sale(catalogue))
    }

    /// Creates a sale on the thread that is held up.
    pub fn create_held<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        catalogue: NewCatalogue<'env>,
    ) -> ScopedJoinHandle<'scope, Created> {
        let thread = thread::Builder::new().name(HELD.into());
        let thread = thread.spawn_scoped(scope, move || self.create(catalogue));
        thread.expect("a thread")
    }

    /// Buys, and waits until that is durable. No answer but success is right.
    pub fn buy(&self, user: &str, item: &str, quantity: u32) {
        let decision = self.engine.checkout(&CheckoutRequest {
            user: UserId::new(user).expect("an id"),
            item: ItemId::new(item).expect("an id"),
            quantity,
            sale: None,
            key: None,
        });
        let CheckoutOutcome::Accepted { code, .. } = decision.outcome else {
            panic!("{user} asked for {item}: {:?}", decision.outcome);
        };
        let decision = self.engine.purchase(code, None);
        match decision.outcome {
            PurchaseOutcome::Processed { result, .. } if result.any_sold() => {}
            outcome => panic!("{user} bought {item}: {outcome:?}"),
        }
        let lsn = decision.lsn.expect("it is recorded");
        self.engine.journal().wait(lsn).expect("the disk works");
    }
}

pub fn new_sale(catalogue: NewCatalogue<'_>) -> NewSale<'_> {
    NewSale {
        started_at: Timestamp::from_seconds(0),
        ended_at: Timestamp::from_seconds(1_000_000),
        max_items_per_user: 10,
        hold_seconds: 0,
        payment: PaymentTerms::NONE,
        catalogue,
    }
}

pub fn generated(item_count: u32) -> NewCatalogue<'static> {
    NewCatalogue::Generated {
        item_count,
        seed: 7,
    }
}

/// Items whose ids begin with `prefix`.
pub struct List {
    texts: Vec<(String, String)>,
    stock: u64,
}

impl List {
    pub fn new(prefix: &str, count: u32, stock: u64) -> Self {
        let text = |number| {
            (
                format!("{prefix}{number}"),
                format!("Thing number {number}"),
            )
        };
        Self {
            texts: (0..count).map(text).collect(),
            stock,
        }
    }

    pub fn catalogue(&self) -> NewCatalogue<'_> {
        let items = self.texts.iter().map(|(id, name)| NewItem {
            id,
            name,
            image_url: "/images/thing.svg",
            stock: self.stock,
            max_per_user: None,
        });
        NewCatalogue::Explicit(items.collect())
    }
}
