//! A receiver of webhooks that is down for an hour, while the shop goes on selling and old segments of the journal are removed. The follower
//! and the housekeeper are the server's; the time is simulated and passes while nobody has anything to do. The receiver is a process, whose
//! answers take no simulated time.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flashsale::env::{Clock, Disk, ManualClock, SeededEntropy, SimulatedDisk, SystemClock};
use flashsale::events::{EventFilter, EventSales, EventSource, EventWriter};
use flashsale::journal::{Durability, Opening, Options, Tools, first_lsn};
use flashsale::reconcile::webhooks::{KeptForWebhook, WebhookOptions, WebhookParts, WebhookSink};
use flashsale::reconcile::{Applied, FollowerTools, RecordSource, feed};
use flashsale::sale::{
    Archive, CheckoutOutcome, CheckoutRequest, Engine, EngineOptions, Housekeeping, Keeper,
    NewCatalogue, NewSale, PurchaseOutcome, Recovered, Retention,
};
use flashsale::telemetry::{SinkGauge, SinkStatus};
use flashsale::types::{ItemId, Lsn, PaymentTerms, Timestamp, UserId, WebhookUrl};
use parking_lot::Mutex;
use tokio::sync::watch;
use tracing_subscriber::fmt::MakeWriter;

use crate::receiver::{Receiver, SECRET};

const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;
/// Seconds from one purchase to the next.
const PURCHASE_EVERY: u32 = 5;
/// Seconds that a segment stays that everybody has followed.
const RETAINED: u32 = 5 * MINUTE;
/// Most seconds that the receiver may need for everything, once it is up: a minute until it is asked again.
const PATIENCE: u32 = 10 * MINUTE;

/// A shop with one webhook.
struct Shop {
    clock: Arc<ManualClock>,
    disk: SimulatedDisk,
    engine: Arc<Engine>,
    keeper: Keeper,
    gauge: Arc<SinkGauge>,
    applied: Applied,
    /// The codes of all purchases, in their order.
    purchased: Vec<String>,
    seconds: u32,
}

/// What a shop and its receiver have after an outage.
struct Outage {
    purchased: Vec<String>,
    /// The codes of the purchases that the receiver was told, without repetitions, in the order of their coming.
    received: Vec<String>,
    /// The last record that the receiver had when it went down.
    had: Lsn,
    /// The record behind which it went on.
    next: Lsn,
    /// The first record that the journal had when it came back.
    first: Lsn,
    /// The purchases that were made until it went down, and until it came back.
    before: usize,
    until: usize,
    rebuilds: u64,
    log: String,
}

fn dir() -> &'static Path {
    Path::new("/journal")
}

/// The clock of messages: by the machine's wall clock, which the receiver compares with its own, and otherwise simulated.
struct MessageClock(Arc<ManualClock>);

impl Clock for MessageClock {
    fn now(&self) -> Timestamp {
        SystemClock::new().now()
    }

    fn steady(&self) -> Timestamp {
        self.0.steady()
    }

    fn monotonic_ns(&self) -> u64 {
        self.0.monotonic_ns()
    }
}

impl Shop {
    /// Opens a shop that keeps records for `keep` for a webhook that is behind.
    fn open(keep: Duration) -> Self {
        let disk = SimulatedDisk::new();
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
        let opening = Opening::lock(Arc::new(disk.clone()), dir()).expect("free");
        let recovered = Recovered::from_journal(&opening).expect("new");
        let options = Options {
            durability: Durability::Fsync,
            segment_bytes: 32 * 1024,
        };
        let tools = Tools {
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(SeededEntropy::new(1)),
            fail_stop: Box::new(|error| panic!("{error}")),
        };
        let journal = opening.start(&recovered.replayed, &options, tools);
        let engine = Engine::new(
            recovered.state,
            Arc::new(journal.expect("room")),
            Arc::clone(&clock) as _,
            Arc::new(SeededEntropy::new(2)),
            EngineOptions::default(),
        );
        let now = clock.now();
        let sale = NewSale {
            started_at: now,
            ended_at: now.plus_seconds(24 * HOUR),
            max_items_per_user: 10,
            hold_seconds: 0,
            payment: PaymentTerms::NONE,
            catalogue: NewCatalogue::Generated {
                item_count: 10_000,
                seed: 0,
            },
        };
        let created = engine.create_sale(&sale).expect("it is allowed").lsn;
        let recorded = engine.journal().wait(created.expect("a record"));
        recorded.expect("the disk works");
        let (engine, gauge) = (Arc::new(engine), Arc::<SinkGauge>::default());
        gauge.configure();
        let applied = Applied::default();
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let kept = KeptForWebhook::new(
            applied.clone(),
            Arc::clone(&gauge),
            engine.journal(),
            &shared,
            keep,
        );
        let housekeeping = Housekeeping {
            keep_ended_seconds: HOUR,
            followed: Box::new(move || kept.kept_behind()),
            retention: Some(Retention {
                segment_seconds: RETAINED,
                sale_seconds: None,
            }),
        };
        Self {
            keeper: Keeper::new(Arc::clone(&engine), housekeeping),
            clock,
            disk,
            engine,
            gauge,
            applied,
            purchased: Vec::new(),
            seconds: 0,
        }
    }

    fn sink(&self, receiver: &Receiver) -> WebhookSink {
        let archive = Archive::start(Arc::clone(&self.engine), None).expect("a thread");
        let sales = EventSales::new(Arc::clone(&self.engine), Arc::new(archive));
        let entropy = Arc::new(SeededEntropy::new(3));
        WebhookSink::new(WebhookParts {
            options: WebhookOptions {
                number: 1,
                url: WebhookUrl::parse(&receiver.url()).expect("an address"),
                secrets: SECRET.into(),
                filter: EventFilter::default(),
                allows_private: true,
                authorities: None,
                begins_behind: Some(Lsn::ZERO),
            },
            writer: EventWriter::new(EventSource::passing(&*entropy), sales),
            disk: Arc::new(self.disk.clone()),
            dir: dir().to_owned(),
            clock: Arc::new(MessageClock(Arc::clone(&self.clock))),
            entropy,
        })
    }

    fn tools(&self) -> FollowerTools {
        FollowerTools {
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::new(SeededEntropy::new(4)),
            gauge: Arc::clone(&self.gauge),
        }
    }

    fn buy(&mut self) {
        let number = self.purchased.len();
        let (user, item) = (format!("user-{number}"), format!("ITM-1-{number}"));
        let asked = CheckoutRequest {
            user: UserId::new(&user).expect("an id"),
            item: ItemId::new(&item).expect("an id"),
            quantity: 1,
            sale: None,
            key: None,
        };
        let CheckoutOutcome::Accepted { code, .. } = self.engine.checkout(&asked).outcome else {
            panic!("{item} is there");
        };
        let bought = self.engine.purchase(code, None).outcome;
        assert!(matches!(bought, PurchaseOutcome::Processed { .. }));
        self.engine.flush().expect("the disk works");
        self.purchased.push(code.to_string());
    }

    /// Lets a second pass, in which a follower does what it has to do.
    async fn pass_second(&mut self) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.clock.advance_us(1_000_000);
        self.seconds += 1;
        if self.seconds.is_multiple_of(MINUTE) {
            // As if so much had been sealed that a snapshot is due.
            self.keeper.tidy(u64::MAX);
        }
    }

    /// Sells for so many seconds.
    async fn sell(&mut self, seconds: u32) {
        for _ in 0..seconds / PURCHASE_EVERY {
            self.buy();
            for _ in 0..PURCHASE_EVERY {
                self.pass_second().await;
            }
        }
    }

    /// The first record that the journal still has.
    fn first(&self) -> Lsn {
        let first = first_lsn(&self.disk as &dyn Disk, dir()).expect("readable");
        first.expect("it has begun")
    }

    /// Waits until the receiver was told everything.
    async fn wait_until_told(&mut self) {
        for _ in 0..PATIENCE {
            if self.applied.get() == self.engine.durable_lsn() {
                return;
            }
            self.pass_second().await;
        }
        panic!("{} of {}", self.applied.get(), self.engine.durable_lsn());
    }
}

/// Has a receiver go down for an hour.
fn outage(keep: Duration) -> Outage {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).finish();
    let _here = tracing::subscriber::set_default(subscriber);
    let mut receiver = Receiver::plain();
    let mut shop = Shop::open(keep);
    let source = RecordSource::new(Arc::clone(shop.engine.journal()), false);
    let (stop, stopped) = watch::channel(false);
    let following = feed(
        shop.sink(&receiver),
        source,
        shop.tools(),
        shop.applied.clone(),
        stopped,
    );
    let around = async {
        shop.sell(20 * MINUTE).await;
        shop.wait_until_told().await;
        let (had, before) = (shop.applied.get(), shop.purchased.len());
        assert!(shop.first() > Lsn(1), "what it has had is removed");
        receiver.kill();
        shop.sell(HOUR).await;
        let figures = (shop.gauge).figures(shop.engine.durable_lsn(), shop.clock.now());
        assert_eq!(figures.status, SinkStatus::Down);
        let (next, first) = (shop.applied.get(), shop.first());
        let until = shop.purchased.len();
        receiver.run();
        shop.sell(2 * MINUTE).await;
        shop.wait_until_told().await;
        // What it has now is kept no longer.
        shop.sell(2 * RETAINED).await;
        shop.wait_until_told().await;
        assert!(shop.first() > had.next());
        let figures = (shop.gauge).figures(shop.engine.durable_lsn(), shop.clock.now());
        assert_eq!(figures.status, SinkStatus::Up, "{}", figures.reason);
        stop.send_replace(true);
        (had, next, first, before, until, figures.rebuilds)
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    let run = async { tokio::join!(following, around) };
    let ((), ended) = runtime.expect("a runtime").block_on(run);
    let (had, next, first, before, until, rebuilds) = ended;
    assert!(receiver.notes("refused").is_empty());
    let events = receiver.events();
    let mut known = HashSet::new();
    let told = events.iter().filter_map(|it| it["data"]["code"].as_str());
    let told = told.filter(|code| known.insert(*code));
    Outage {
        received: told.map(str::to_owned).collect(),
        purchased: shop.purchased,
        had,
        next,
        first,
        before,
        until,
        rebuilds,
        log: log.text(),
    }
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn a_receiver_that_was_down_for_an_hour_has_everything_in_order() {
    let after = outage(Duration::from_secs(u64::from(2 * HOUR)));
    assert_eq!(after.next, after.had, "nobody was there");
    assert!(after.first <= after.had.next(), "what it lacks is kept");
    assert!(after.until - after.before > 700);
    assert_eq!(after.received, after.purchased);
    assert_eq!(after.rebuilds, 0);
    assert!(!after.log.contains("gap"), "{}", after.log);
}

#[test]
fn beyond_the_bound_a_receiver_goes_on_behind_a_gap_and_the_log_says_so() {
    let after = outage(Duration::from_secs(u64::from(HOUR / 2)));
    assert!(after.first > after.had.next(), "the disk does not fill");
    let purchased = &after.purchased;
    let (had, rest) = after.received.split_at(after.before);
    assert_eq!(had, &purchased[..after.before]);
    // What was retained in any case came, and all behind it.
    let behind = purchased.len() - rest.len();
    assert_eq!(rest, &purchased[behind..]);
    let retained = (RETAINED / PURCHASE_EVERY) as usize;
    assert!((after.before + 1..=after.until - retained).contains(&behind));
    // It may still have been down when what it then had to have was too old again: each gap is told and counted.
    let gaps = after.log.matches("goes on behind a gap").count();
    assert!(gaps > 0, "{}", after.log);
    assert_eq!(after.rebuilds, gaps as u64, "{}", after.log);
}
