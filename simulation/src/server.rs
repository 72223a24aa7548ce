//! One process of the server, with all its parts and without a socket: what its threads do is done when the world says so.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use flashsale::env::{Clock, Disk, ManualClock, SeededEntropy, SimulatedDisk};
use flashsale::http::{Administration, Api, Peer};
use flashsale::journal::{Durability, JournalError, Opening, Options, Tools};
use flashsale::live::Feeds;
use flashsale::operations::Observer;
use flashsale::reconcile::{Applied, FollowerTools, RecordSource, feed};
use flashsale::sale::{
    Archive, Engine, EngineOptions, Housekeeping, Keeper, Loader, Recovered, Retention,
};
use flashsale::schedule::{Agenda, Rotation};
use flashsale::telemetry::WorkerTelemetry;
use flashsale::types::Lsn;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::history::{Ask, History};
use crate::plan::Plan;
use crate::sink::{Connection, Database};
use crate::vitals::Vitals;

/// The directory of the journal.
pub const DIR: &str = "/journal";

/// The surroundings that a process finds when it starts.
pub struct Surroundings<'a> {
    /// The plan of the run.
    pub plan: &'a Plan,
    /// The machine's clock.
    pub clock: &'a Arc<ManualClock>,
    /// The databases.
    pub databases: &'a [Database],
    /// The notes of clients on what they are told.
    pub history: &'a History,
    /// Determines what the process draws.
    pub seed: u64,
}

/// A process.
pub struct Server {
    /// Its disk.
    pub disk: SimulatedDisk,
    /// Its vital signs.
    pub vitals: Vitals,
    /// Its engine.
    pub engine: Arc<Engine>,
    /// Its feeds.
    pub feeds: Arc<Feeds>,
    /// Its scheduler.
    pub agenda: Agenda,
    /// Its housekeeper.
    pub keeper: Keeper,
    /// Its loader of ended sales.
    pub loader: Loader,
    api: Rc<Api>,
    history: History,
    tasks: JoinSet<()>,
    requests: Rc<RefCell<Vec<Open>>>,
    stop: watch::Sender<bool>,
}

/// A request that is not answered.
struct Open {
    place: usize,
    task: AbortHandle,
}

impl Server {
    /// Starts a process on `disk`.
    ///
    /// # Errors
    /// The errors that end the start of the real one, too.
    pub fn start(disk: SimulatedDisk, around: &Surroundings<'_>) -> Result<Self, JournalError> {
        let plan = around.plan;
        if plan.writes_asynchronously {
            disk.write_asynchronously();
        }
        if plan.sync_us > 0 {
            disk.set_sync_time(Arc::clone(around.clock), plan.sync_us);
        }
        let vitals = Vitals::new(disk.clone());
        let engine = open_engine(&disk, &vitals, around)?;
        let mut tasks = JoinSet::new();
        let (stop, stopped) = watch::channel(false);
        let mut followed = Vec::new();
        for database in around.databases {
            let applied = Applied::default();
            followed.push(applied.clone());
            let connection = Connection::new(database.clone(), vitals.clone(), Arc::clone(&engine));
            let tools = follower_tools(around.clock, around.seed);
            let fed = following(connection, &engine, tools, applied, &stopped);
            tasks.spawn_local(fed);
        }
        let rotation = rotation(plan);
        let mut agenda = Agenda::new(Arc::clone(&engine), rotation);
        let keeper = Keeper::new(Arc::clone(&engine), housekeeping(plan, followed));
        // A start that finds no room goes on without a sale.
        let _ = agenda.catch_up();
        let feeds = Feeds::new(Arc::clone(&engine));
        let (archive, loader) = Archive::unstarted(Arc::clone(&engine), None);
        let api = Rc::new(Api::new(
            Arc::clone(&engine),
            Arc::new(archive),
            telemetry(),
            Arc::clone(&feeds),
            Arc::new(Administration::new("0123456789abcdef".into(), rotation)),
            Observer::unstarted(),
        ));
        let driven = Rc::clone(&api);
        tasks.spawn_local(async move { driven.drive().await });
        Ok(Self {
            disk,
            vitals,
            engine,
            feeds,
            agenda,
            keeper,
            loader,
            api,
            history: around.history.clone(),
            tasks,
            requests: Rc::default(),
            stop,
        })
    }

    /// Sends a request.
    pub fn ask(&mut self, ask: Ask) {
        let request = request(&ask);
        let now = self.engine.clock().now();
        let place = self.history.begin(ask, now, self.durable());
        let (api, vitals) = (Rc::clone(&self.api), self.vitals.clone());
        let (history, requests) = (self.history.clone(), Rc::clone(&self.requests));
        let engine = Arc::clone(&self.engine);
        let task = self.tasks.spawn_local(async move {
            let peer = Peer::new(Ipv4Addr::LOCALHOST.into());
            let response = api.handle(request, &peer).await;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await;
            let body = body.expect("it cannot fail").to_bytes();
            requests.borrow_mut().retain(|open| open.place != place);
            if vitals.is_alive() {
                history.answer(place, status, body, engine.clock().now());
            }
        });
        self.requests.borrow_mut().push(Open { place, task });
    }

    /// Lets a second follower feed `database`, as one of an earlier process does that does not know that it is over.
    pub fn rival(&mut self, database: &Database, clock: &Arc<ManualClock>, seed: u64) {
        let engine = Arc::clone(&self.engine);
        let connection = Connection::new(database.clone(), self.vitals.clone(), engine);
        let (tools, stopped) = (follower_tools(clock, seed), self.stop.subscribe());
        let fed = following(
            connection,
            &self.engine,
            tools,
            Applied::default(),
            &stopped,
        );
        self.tasks.spawn_local(fed);
    }

    /// Returns the number of requests that are not answered.
    #[must_use]
    pub fn open_requests(&self) -> usize {
        self.requests.borrow().len()
    }

    /// Has a client give up the open request with this number of those that are open.
    pub fn give_up(&mut self, number: usize) {
        self.requests.borrow_mut().swap_remove(number).task.abort();
    }

    /// Looks after tasks that have ended.
    ///
    /// # Errors
    /// One has panicked.
    pub fn reap(&mut self) -> Result<(), String> {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                return Err(format!("a panic in a task: {error}"));
            }
        }
        Ok(())
    }

    /// Takes no new work from now on: the first step of a stop.
    pub fn drain(&self) {
        self.api.start_draining();
        self.stop.send_replace(true);
    }

    /// Ends all tasks. What they still do nobody sees.
    pub async fn bury(mut self) {
        self.vitals.end();
        self.tasks.shutdown().await;
    }

    /// Gives a turn to each thread that requests may wait for: the preallocator's, the committer's and the archive's.
    pub fn serve_waiting(&mut self) {
        self.engine.journal().step_preparation();
        self.engine.journal().step_commit();
        self.loader.load_next();
    }

    /// Returns the last record that is durable.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        self.engine.durable_lsn()
    }
}

/// Returns the figures of all processes of the calling thread: nothing rests on them, and to make them takes its time.
fn telemetry() -> Arc<WorkerTelemetry> {
    thread_local!(static TELEMETRY: Arc<WorkerTelemetry> = Arc::default());
    TELEMETRY.with(Arc::clone)
}

/// Returns the task that feeds a database.
fn following(
    connection: Connection,
    engine: &Arc<Engine>,
    tools: FollowerTools,
    applied: Applied,
    stopped: &watch::Receiver<bool>,
) -> impl Future<Output = ()> + 'static {
    let source = RecordSource::new(Arc::clone(engine.journal()), false);
    feed(connection, source, tools, applied, stopped.clone())
}

fn follower_tools(clock: &Arc<ManualClock>, seed: u64) -> FollowerTools {
    FollowerTools {
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        entropy: Arc::new(SeededEntropy::new(seed)),
        gauge: Arc::default(),
    }
}

fn open_engine(
    disk: &SimulatedDisk,
    vitals: &Vitals,
    around: &Surroundings<'_>,
) -> Result<Arc<Engine>, JournalError> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let opening = Opening::lock(shared, Path::new(DIR))?;
    let recovered = Recovered::from_journal(&opening)?;
    let ending = vitals.clone();
    let tools = Tools {
        clock: Arc::clone(around.clock) as Arc<dyn Clock>,
        entropy: Arc::new(SeededEntropy::new(around.seed)),
        fail_stop: Box::new(move |_| ending.fail()),
    };
    let options = Options {
        durability: Durability::Fsync,
        segment_bytes: around.plan.segment_bytes,
    };
    let journal = opening.start_stepped(&recovered.replayed, &options, tools)?;
    let options = EngineOptions {
        record_refused: around.plan.records_refused,
    };
    Ok(Arc::new(Engine::new(
        recovered.state,
        Arc::new(journal),
        Arc::clone(around.clock) as Arc<dyn Clock>,
        Arc::new(SeededEntropy::new(!around.seed)),
        options,
    )))
}

fn rotation(plan: &Plan) -> Rotation {
    Rotation {
        interval_seconds: plan.interval_seconds,
        item_count: plan.items,
        max_items_per_user: plan.limit,
        hold_seconds: plan.hold_seconds,
        seed: 7,
    }
}

fn housekeeping(plan: &Plan, followed: Vec<Applied>) -> Housekeeping {
    let last = move || followed.iter().map(Applied::get).min();
    Housekeeping {
        keep_ended_seconds: plan.keep_ended_seconds,
        followed: Box::new(move || last().unwrap_or(Lsn(u64::MAX))),
        retention: plan.trims.then_some(Retention {
            segment_seconds: 5,
            sale_seconds: None,
        }),
    }
}

fn request(ask: &Ask) -> Request<Full<Bytes>> {
    let (method, path, key) = match ask {
        Ask::Checkout {
            user,
            item,
            quantity,
            sale,
            key,
        } => {
            let mut path = format!("/checkout?user_id=user-{user}&id={item}");
            if *quantity != 1 {
                path.push_str(&format!("&quantity={quantity}"));
            }
            if let Some(sale) = sale {
                path.push_str(&format!("&sale_id={sale}"));
            }
            ("POST", path, key)
        }
        Ask::Purchase { code, key } => ("POST", format!("/purchase?code={code}"), key),
        Ask::Look { path } => ("GET", path.clone(), &None),
    };
    let mut request = Request::builder().method(method).uri(path);
    if let Some(key) = key {
        request = request.header("idempotency-key", format!("key-{key}"));
    }
    request.body(Full::default()).expect("it is a request")
}
