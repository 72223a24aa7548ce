//! One process of the server, with all its parts and without a socket: what its threads do is done when the world says so.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use flashsale::env::{Clock, ManualClock, SeededEntropy, SimulatedDisk};
use flashsale::http::{Administration, Api, Peer};
use flashsale::live::Feeds;
use flashsale::operations::{Observer, Replica};
use flashsale::planted::{Slip, is_planted};
use flashsale::reconcile::{Applied, FollowerTools, RecordSource, feed};
use flashsale::replication::{Demand, Role, now_us};
use flashsale::sale::{Archive, Engine, Housekeeping, Keeper, Loader, Retention};
use flashsale::schedule::{Agenda, ClockWatch, Rotation};
use flashsale::telemetry::WorkerTelemetry;
use flashsale::types::{Lsn, PaymentTerms};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::history::{Ask, History, Teller};
use crate::opening::{LogPlace, NotStarted, ReplicaPart, open_engine};
use crate::plan::Plan;
use crate::restocked::{self, AskedChange};
use crate::sink::{Connection, Database, FeedRule};
use crate::vitals::Vitals;

/// The directory of the journal.
pub const DIR: &str = "/journal";
/// The token of administration.
const TOKEN: &str = "0123456789abcdef";

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
    /// Its part in a replication, if it has one.
    pub place: Option<LogPlace>,
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
    /// Its scheduler, once it has taken up the duties of a server that sells.
    pub agenda: Option<Agenda>,
    /// Its housekeeper.
    pub keeper: Keeper,
    /// Its loader of ended sales.
    pub loader: Loader,
    api: Rc<Api>,
    history: History,
    tasks: JoinSet<()>,
    requests: Rc<RefCell<Vec<Open>>>,
    stop: watch::Sender<bool>,
    duties: Duties,
    replica: Option<ReplicaPart>,
    /// The watch over the clock, which the scheduler has for itself.
    watch: Option<ClockWatch>,
}

/// The duties of a process that sells.
struct Duties {
    rotation: Rotation,
    clock: Arc<ManualClock>,
    databases: Vec<Database>,
    seed: u64,
    /// How far the databases are, once they are followed.
    applied: Arc<OnceLock<Vec<Applied>>>,
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
    pub fn start(disk: SimulatedDisk, around: &Surroundings<'_>) -> Result<Self, NotStarted> {
        let plan = around.plan;
        if plan.writes_asynchronously {
            disk.write_asynchronously();
            disk.delay_writes(plan.write_delays);
        }
        if plan.sync_us > 0 {
            disk.set_sync_time(Arc::clone(around.clock), plan.sync_us);
        }
        let vitals = Vitals::new(disk.clone());
        let (engine, replica) = open_engine(&disk, &vitals, around)?;
        let (stop, _) = watch::channel(false);
        let duties = Duties {
            rotation: rotation(plan),
            clock: Arc::clone(around.clock),
            databases: around.databases.to_vec(),
            seed: around.seed,
            applied: Arc::default(),
        };
        let housekeeping = housekeeping(plan, &duties.applied, replica.as_ref());
        let keeper = Keeper::new(Arc::clone(&engine), housekeeping);
        let feeds = Feeds::new(Arc::clone(&engine));
        let (archive, loader) = Archive::unstarted(Arc::clone(&engine), None);
        let api = Api::new(
            Arc::clone(&engine),
            Arc::new(archive),
            telemetry(),
            Arc::clone(&feeds),
            Arc::new(Administration::new(TOKEN.into(), duties.rotation)),
            Observer::unstarted(),
        );
        let status = replica.as_ref().map(|part| Arc::clone(&part.status));
        let watch = replica
            .is_some()
            .then(|| ClockWatch::new(Arc::clone(&engine)));
        let mut server = Self {
            watch,
            disk,
            vitals,
            engine,
            feeds,
            agenda: None,
            keeper,
            loader,
            api: Rc::new(api.with_replica(status.map(Replica::new))),
            history: around.history.clone(),
            tasks: JoinSet::new(),
            requests: Rc::default(),
            stop,
            duties,
            replica,
        };
        if server.replica.is_none() {
            server.take_up_duties();
        } else if is_planted(Slip::StandbyFollows) {
            server.follow();
        }
        let driven = Rc::clone(&server.api);
        server.spawn(async move { driven.drive().await });
        Ok(server)
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + 'static) {
        let vitals = self.vitals.clone();
        self.tasks.spawn_local(vitals.work(task));
    }

    /// Takes up the duties of a server that sells.
    fn take_up_duties(&mut self) {
        self.watch = None;
        self.follow();
        let mut agenda = Agenda::new(Arc::clone(&self.engine), self.duties.rotation);
        // A start that finds no room goes on without a sale.
        let _ = agenda.catch_up();
        self.agenda = Some(agenda);
    }

    /// Begins to follow the journal with every database.
    fn follow(&mut self) {
        let databases = self.duties.databases.clone();
        let applied: Vec<_> = databases.iter().map(|_| Applied::default()).collect();
        let _ = self.duties.applied.set(applied.clone());
        let seed = self.duties.seed;
        for (database, applied) in databases.into_iter().zip(applied) {
            self.feed(database, applied, seed);
        }
    }

    /// Feeds `database`.
    fn feed(&mut self, database: Database, applied: Applied, seed: u64) {
        let connection = Connection::new(database, self.vitals.clone(), self.feed_rule());
        let tools = FollowerTools {
            clock: Arc::clone(&self.duties.clock) as Arc<dyn Clock>,
            entropy: Arc::new(SeededEntropy::new(seed)),
            gauge: Arc::default(),
        };
        let source = RecordSource::new(Arc::clone(self.engine.journal()), false);
        let stopped = self.stop.subscribe();
        self.spawn(feed(connection, source, tools, applied, stopped));
    }

    /// Returns the rule that what is fed is durable, and where a log is replicated in it; and that who feeds it leads, or has.
    fn feed_rule(&self) -> FeedRule {
        let engine = Arc::clone(&self.engine);
        let replica = self.replica.as_ref();
        let replica = replica.map(|part| (Arc::clone(&part.status), part.place.watch.clone()));
        Rc::new(move |until| {
            let durable = engine.durable_lsn();
            if until > durable {
                return Some(format!("record {until}, and durable is {durable}"));
            }
            let (status, watch) = replica.as_ref()?;
            if status.role() == Role::Standby {
                return Some(format!("record {until} of a standby"));
            }
            let is_acknowledged = until <= watch.last();
            (!is_acknowledged).then(|| format!("record {until}, which the log does not have"))
        })
    }

    /// Gives the process's part in the replication a turn, and does what that demands; but for what ends the process.
    pub fn replicate(&mut self) -> Option<Demand> {
        self.watch.iter_mut().for_each(ClockWatch::read);
        let followed = self.followed();
        let part = self.replica.as_mut()?;
        let demand = part.participant.turn(followed.unwrap_or(Lsn::ZERO));
        match demand {
            Demand::TakeUpDuties => {
                let status = Arc::clone(&part.status);
                self.take_up_duties();
                status.lead();
            }
            Demand::StartAnew(_) => self.vitals.end(),
            _ => {}
        }
        Some(demand)
    }

    /// Returns the last record that all databases have, once they are followed and there are any.
    fn followed(&self) -> Option<Lsn> {
        self.duties.applied.get()?.iter().map(Applied::get).min()
    }

    /// Asks the process to hand its leadership over.
    pub fn ask_hand_over(&self) {
        if let Some(part) = &self.replica {
            part.status.ask_hand_over();
        }
    }

    /// Returns whether the process sells, as far as it knows.
    #[must_use]
    pub fn sells(&self) -> bool {
        self.replica
            .as_ref()
            .is_none_or(|part| part.status.may_tell(now_us(&*self.duties.clock)))
    }

    /// Returns whether the process leads, as far as it knows.
    #[must_use]
    pub fn leads(&self) -> bool {
        let part = self.replica.as_ref();
        part.is_some_and(|part| part.participant.leads().is_some())
    }

    /// Sends a request.
    pub fn ask(&mut self, ask: Ask) {
        if let Ask::Stock(change) = ask {
            return self.change_stock(change);
        }
        let request = request(&ask);
        let now = self.engine.clock().now();
        let place = self.history.begin(ask, now, self.durable());
        let (api, vitals) = (Rc::clone(&self.api), self.vitals.clone());
        let (history, requests) = (self.history.clone(), Rc::clone(&self.requests));
        let engine = Arc::clone(&self.engine);
        let teller = self.teller();
        let work = async move {
            let peer = Peer::new(Ipv4Addr::LOCALHOST.into());
            let teller = teller.map(|teller| teller());
            let response = api.handle(request, &peer).await;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await;
            let body = body.expect("it cannot fail").to_bytes();
            requests.borrow_mut().retain(|open| open.place != place);
            if vitals.is_alive() {
                let (now, newest) = (engine.clock().now(), engine.newest_lsn());
                history.answer(place, (status, body), now, newest, teller);
            }
        };
        let task = self.tasks.spawn_local(self.vitals.clone().work(work));
        self.requests.borrow_mut().push(Open { place, task });
    }

    /// Has an administrator change a stock. The real one does it on a thread of its own, which a run does not have.
    fn change_stock(&mut self, change: AskedChange) {
        let now = self.engine.clock().now();
        let place = self
            .history
            .begin(Ask::Stock(change.clone()), now, self.durable());
        let (engine, vitals) = (Arc::clone(&self.engine), self.vitals.clone());
        let (history, requests) = (self.history.clone(), Rc::clone(&self.requests));
        let work = async move {
            let ((status, body), lsn) = restocked::answer(&engine, &change);
            while lsn.is_some_and(|lsn| engine.durable_lsn() < lsn) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            requests.borrow_mut().retain(|open| open.place != place);
            if vitals.is_alive() {
                let (now, newest) = (engine.clock().now(), engine.newest_lsn());
                history.answer(place, (status, body.into()), now, newest, None);
            }
        };
        let task = self.tasks.spawn_local(self.vitals.clone().work(work));
        self.requests.borrow_mut().push(Open { place, task });
    }

    /// Returns what says of the process what it is when it begins to answer.
    fn teller(&self) -> Option<impl Fn() -> Teller + 'static> {
        let part = self.replica.as_ref()?;
        let (status, place) = (Arc::clone(&part.status), part.place.clone());
        Some(move || {
            let epoch = status.epoch();
            Teller {
                process: place.process,
                epoch,
                stale_us: place.watch.stale_us(place.machine, epoch),
            }
        })
    }

    /// Lets a second follower feed `database`, as one of an earlier process does that does not know that it is over.
    pub fn rival(&mut self, database: &Database, seed: u64) {
        self.feed(database.clone(), Applied::default(), seed);
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

    /// Runs what is due by the clock, where the process sells: one turn of the scheduler's thread.
    pub fn run_due(&mut self) {
        if let Some(agenda) = &mut self.agenda {
            agenda.run_due();
        }
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

fn rotation(plan: &Plan) -> Rotation {
    Rotation {
        interval_seconds: plan.interval_seconds,
        item_count: plan.items,
        max_items_per_user: plan.limit,
        hold_seconds: plan.hold_seconds,
        payment: PaymentTerms {
            seconds: plan.payment_seconds,
            ..PaymentTerms::NONE
        },
        seed: 7,
    }
}

fn housekeeping(
    plan: &Plan,
    applied: &Arc<OnceLock<Vec<Applied>>>,
    replica: Option<&ReplicaPart>,
) -> Housekeeping {
    let (applied, has_sinks) = (Arc::clone(applied), !plan.sinks.is_empty());
    let status = replica.map(|part| Arc::clone(&part.status));
    let followed = move || {
        let marked = status.as_ref().map(|status| status.marked());
        let followed = match applied.get() {
            _ if !has_sinks => Lsn(u64::MAX),
            Some(all) => all.iter().map(Applied::get).min().unwrap_or_default(),
            // Of a standby: its leader tells.
            None => status
                .as_ref()
                .map_or(Lsn::ZERO, |status| status.followed()),
        };
        followed.min(marked.unwrap_or(Lsn(u64::MAX)))
    };
    Housekeeping {
        keep_ended_seconds: plan.keep_ended_seconds,
        followed: Box::new(followed),
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
        Ask::Release {
            code,
            item,
            quantity,
        } => {
            let item = item.as_ref().map(|item| format!("&id={item}"));
            let quantity = quantity.map(|quantity| format!("&quantity={quantity}"));
            let (item, quantity) = (item.unwrap_or_default(), quantity.unwrap_or_default());
            (
                "POST",
                format!("/release?code={code}{item}{quantity}"),
                &None,
            )
        }
        Ask::Cancel(ask) => {
            let item = ask.item.as_ref().map(|item| format!("&id={item}"));
            let quantity = ask.quantity.map(|quantity| format!("&quantity={quantity}"));
            let (item, quantity) = (item.unwrap_or_default(), quantity.unwrap_or_default());
            let (code, reference, restock) = (&ask.code, &ask.reference, ask.restock);
            let path = format!("/admin/checkouts/{code}/cancel?ref={reference}&restock={restock}");
            ("POST", format!("{path}{item}{quantity}"), &None)
        }
        Ask::Stock(_) => unreachable!("administrators ask the engine"),
        Ask::Pay { code } => ("POST", format!("/payment?code={code}"), &None),
        Ask::Confirm {
            code,
            payment,
            late,
        } => {
            let path =
                format!("/admin/checkouts/{code}/confirm?payment_ref=pay-{payment}&late={late}");
            ("POST", path, &None)
        }
        Ask::Look { path } => ("GET", path.clone(), &None),
    };
    let mut request = Request::builder().method(method).uri(path);
    if matches!(ask, Ask::Confirm { .. }) {
        request = request.header("authorization", format!("Bearer {TOKEN}"));
    }
    if let Some(key) = key {
        request = request.header("idempotency-key", format!("key-{key}"));
    }
    if matches!(ask, Ask::Cancel(_)) {
        request = request.header("authorization", format!("Bearer {TOKEN}"));
    }
    request.body(Full::default()).expect("it is a request")
}
