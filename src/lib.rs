//! flashsale sells a fixed stock to everybody who asks in the same second: exactly the stock, never
//! more, never stranded, and what was answered 200 is on the disk.
//!
//! # One idea
//!
//! **The journal is the truth. Memory is a fold over it. Postgres and Redis are projections of it.**
//!
//! ```text
//! request ─► http ─► sale engine ─► journal ─► 200            (in this order)
//!                      (memory)        │
//!                                      ├─► reconcile ─► Postgres   (later, exactly once)
//!                                      └─► reconcile ─► Redis      (later, exactly once)
//! ```
//!
//! Memory decides, in nanoseconds, with atomics. The journal makes the decision durable, a batch per
//! `fdatasync`. Then the client is answered. A start replays the journal.
//!
//! # The map
//!
//! | part | what it does | may use |
//! |---|---|---|
//! | [`types`], [`limits`], [`mod@env`], [`generated`], `json_members`, [`planted`], [`telemetry`], [`wheel`] | shared nouns, bounds, the outside world, histograms, timers | each other |
//! | [`record`] | what is recorded, and how it is written down | leaves |
//! | [`auth`] | who asks: the tokens of users, and sessions | leaves |
//! | [`config`] | file, environment and flags, checked as a whole | leaves |
//! | [`journal`] | the one order of records, and its durability | leaves |
//! | [`sale`] | stock, buyers, checkouts, purchases, recovery | journal, leaves |
//! | [`schedule`] | what happens by the clock | sale, leaves |
//! | [`replication`] | the replicated log: who leads, who stands by, what may be told | journal, leaves |
//! | [`events`] | what the journal tells shops, as CloudEvents | sale, journal, leaves |
//! | [`live`] | feeds: the states of sales as they change | sale, leaves |
//! | [`limiter`] | the client's address behind proxies, and limits of rates | leaves |
//! | [`operations`] | figures of the whole server, for operators | sale, schedule, live, replication, journal, leaves |
//! | [`http`] | requests to engine calls, outcomes to answers | sale, schedule, live, limiter, operations, events, auth, leaves |
//! | [`runtime`] | a pinned runtime per core, connections, drain | http, leaves |
//! | [`reconcile`] | Postgres, Redis and webhooks, brought behind the journal | journal, events, leaves |
//! | [`app`] | starts the server, stops it, listens to signals, logs | everything |
//! | [`commands`], [`cli`] | the other commands, and the command line | everything |
//!
//! `tests/layering` holds the code to this table.
//!
//! # Invariants
//!
//! - The engine never waits: deciding and enqueueing is plain synchronous code, so a connection that
//!   drops in between can neither leak stock nor lose a record.
//! - Stock and quota are taken before their record is enqueued, and given back after it. So every
//!   durable prefix of the journal is a state in which nothing is oversold.
//! - Nobody is answered before the record that the answer rests on is durable.
//! - A failed write or sync ends the process. A batch that is incomplete is cut off at the next start,
//!   because nobody was answered from it; damage anywhere else stops the start.
//! - Only `env` touches the clock, the disk and the random generator.
//!
//! # Without HTTP
//!
//! The engine and the journal are a library of their own:
//!
//! ```
//! use std::sync::Arc;
//! use flashsale::env::{Clock, ManualClock, OsEntropy, SimulatedDisk};
//! use flashsale::journal::{Durability, Opening, Options, Tools};
//! use flashsale::sale::{
//!     CheckoutOutcome, CheckoutRequest, Engine, EngineOptions, NewCatalogue, NewSale, Recovered,
//! };
//! use flashsale::types::{PaymentTerms, ItemId, Timestamp, UserId};
//!
//! // A server takes `SystemClock` and `RealDisk`; these two live in memory.
//! let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(100)));
//! let opening = Opening::lock(Arc::new(SimulatedDisk::new()), "journal".as_ref())?;
//! // Fold what the journal holds into memory, then write on behind it.
//! let recovered = Recovered::from_journal(&opening)?;
//! let options = Options { durability: Durability::Fsync, segment_bytes: 4 << 20 };
//! let tools = Tools {
//!     clock: clock.clone(),
//!     entropy: Arc::new(OsEntropy),
//!     // A disk that fails ends the process: memory is no longer what is on the disk.
//!     fail_stop: Box::new(|error| panic!("{error}")),
//! };
//! let journal = Arc::new(opening.start(&recovered.replayed, &options, tools)?);
//! let engine = Engine::new(
//!     recovered.state,
//!     journal.clone(),
//!     clock.clone(),
//!     Arc::new(OsEntropy),
//!     EngineOptions::default(),
//! );
//! engine.create_sale(&NewSale {
//!     started_at: clock.now(),
//!     ended_at: clock.now().plus_seconds(3600),
//!     max_items_per_user: 10,
//!     hold_seconds: 0,
//!     payment: PaymentTerms::NONE,
//!     catalogue: NewCatalogue::Generated { item_count: 100, seed: 0 },
//! })?;
//! let decision = engine.checkout(&CheckoutRequest {
//!     user: UserId::new("ada")?,
//!     item: ItemId::new("ITM-1-0")?,
//!     quantity: 1,
//!     sale: None,
//!     key: None,
//! });
//! assert!(matches!(decision.outcome, CheckoutOutcome::Accepted { items_count: 1, .. }));
//! journal.wait(decision.lsn.expect("an accepted checkout is recorded"))?; // only now tell ada
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// Only `env` holds a module that needs `unsafe`; there each of the others forbids it.
#[forbid(unsafe_code)]
pub mod app;
#[forbid(unsafe_code)]
pub mod auth;
#[forbid(unsafe_code)]
pub mod cli;
#[forbid(unsafe_code)]
pub mod commands;
#[forbid(unsafe_code)]
pub mod config;
pub mod env;
#[forbid(unsafe_code)]
pub mod events;
#[forbid(unsafe_code)]
pub mod generated;
#[forbid(unsafe_code)]
pub mod http;
#[forbid(unsafe_code)]
pub mod journal;
#[forbid(unsafe_code)]
mod json_members;
#[forbid(unsafe_code)]
pub mod limiter;
pub mod limits;
#[forbid(unsafe_code)]
pub mod live;
#[forbid(unsafe_code)]
pub mod operations;
#[forbid(unsafe_code)]
pub mod planted;
#[forbid(unsafe_code)]
pub mod reconcile;
#[forbid(unsafe_code)]
pub mod record;
pub mod replication;
#[forbid(unsafe_code)]
pub mod runtime;
#[forbid(unsafe_code)]
pub mod sale;
#[forbid(unsafe_code)]
pub mod schedule;
#[forbid(unsafe_code)]
mod sync;
#[forbid(unsafe_code)]
pub mod telemetry;
#[forbid(unsafe_code)]
pub mod types;
#[forbid(unsafe_code)]
pub mod wheel;
