//! The plan of a run: what can happen in it, and how often. Each seed draws its own, and leaves most of what can happen
//! out, so that rare combinations occur (swarm testing, by Groce, Zhang, Eide, Chen and Regehr).

use crate::dice::Dice;
use crate::sink::Kind;

/// Seeds per mille in which two servers replicate one log.
const PAIRS: u64 = 333;

/// Returns the dice that decide whether there is one server or two.
pub fn pair_dice(seed: u64) -> Dice {
    Dice::new(!seed)
}

/// Returns the dice of what buyers give back and of how sales are changed. They are their own, so that what else happens in a run is
/// as it was before there was that.
pub fn order_dice(seed: u64) -> Dice {
    Dice::new(seed.rotate_left(32) ^ 0x5bd1_e995)
}

/// Returns the dice of how stocks are changed, which are their own for the same reason.
pub fn stock_dice(seed: u64) -> Dice {
    Dice::new(seed.rotate_left(16) ^ 0x2545_f491)
}

/// Returns the dice of payments, which are their own for the same reason.
pub fn payment_dice(seed: u64) -> Dice {
    Dice::new(seed.rotate_left(32) ^ 0x27d4_eb2f)
}

/// Returns the dice that say how long writes take: others than the rest of a plan, so that earlier seeds stay what they are.
pub fn delay_dice(seed: u64) -> Dice {
    Dice::new(seed.rotate_left(32))
}

/// Returns whether two servers replicate one log in the run of `seed`.
#[must_use]
pub fn is_paired(seed: u64) -> bool {
    pair_dice(seed).chance(PAIRS)
}

/// The parts that are left out of the plan of a seed, to find the shortest run that still fails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cuts {
    /// Requests of buyers at most.
    pub requests: Option<u64>,
    /// Kinds of steps that are not taken, by their names.
    pub without: Vec<String>,
}

/// The plan.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Requests of buyers.
    pub requests: u64,
    /// Users that there are.
    pub users: u64,
    /// Items of a generated sale.
    pub items: u32,
    /// Every second request is for one of the first two items.
    pub has_hot_items: bool,
    /// Length of an interval, in seconds.
    pub interval_seconds: u32,
    /// Units that one user may buy.
    pub limit: u32,
    /// Seconds that a checkout holds its units, in the sales of the rotation.
    pub hold_seconds: u32,
    /// Seconds that a payment reserves its units, in all sales; 0 where nobody pays.
    pub payment_seconds: u32,
    /// Requests per mille that come with an idempotency key.
    pub keyed: u64,
    /// Requests per mille that are given up before they are answered.
    pub given_up: u64,
    /// Requests per mille before which somebody looks at a checkout, or gives of it back.
    pub given_back: u64,
    /// Requests per mille before which an administrator changes a sale that goes on.
    pub changed: u64,
    /// Requests per mille before which an administrator changes the stock of an item.
    pub restocked: u64,
    /// Requests per mille before which a shop cancels a purchase.
    pub cancelled: u64,
    /// Requests that may be open at the same time.
    pub open_max: usize,
    /// Length of a segment.
    pub segment_bytes: u64,
    /// Seconds that ended sales stay in memory.
    pub keep_ended_seconds: u32,
    /// Old segments are removed.
    pub trims: bool,
    /// Refused attempts are recorded.
    pub records_refused: bool,
    /// Openings of sales are recorded.
    pub records_openings: bool,
    /// Workers write by themselves.
    pub writes_asynchronously: bool,
    /// How often more such a write is asked for in vain.
    pub write_delays: u32,
    /// The time of a sync, in microseconds.
    pub sync_us: i64,
    /// Databases that follow.
    pub sinks: Vec<Kind>,
    /// Starts per mille before which a bit in a file has flipped.
    pub rots: u64,
    /// How often each kind of step is taken.
    pub weights: Weights,
    /// The plan of two servers that replicate one log; `None` of a server alone.
    pub pair: Option<PairPlan>,
}

/// The faults of two servers that replicate one log.
#[derive(Clone, Copy, Debug)]
pub struct PairPlan {
    /// Questions to the log per mille that are not answered as they should be.
    pub trouble: u64,
    /// Each has a clock of its own. This is the speed of the second one, per mille of the first one's.
    pub clock_speed: Option<i64>,
    /// The log may lose what it has acknowledged.
    pub restores: bool,
}

/// How often each kind of step is taken, in relation to each other.
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    /// A buyer asks for something.
    pub request: u64,
    /// The committer's thread has a turn.
    pub commit: u64,
    /// The preallocator's thread has a turn.
    pub prepare: u64,
    /// The scheduler's thread has a turn.
    pub schedule: u64,
    /// Time passes.
    pub time: u64,
    /// The housekeeper's thread has a turn.
    pub tidy: u64,
    /// The archive loads a sale.
    pub load: u64,
    /// The feeds have a tick, and a viewer comes or goes.
    pub view: u64,
    /// An administrator creates or closes a sale.
    pub administer: u64,
    /// The wall clock jumps, or the machine sleeps.
    pub clock: u64,
    /// The process is killed.
    pub kill: u64,
    /// The process is stopped and started again.
    pub stop: u64,
    /// The power fails at one of the next operations of the disk.
    pub power: u64,
    /// The disk fails, or is full for some time.
    pub disk: u64,
    /// A sink goes away, comes back, or does worse.
    pub sink: u64,
    /// The thread of the replication has a turn.
    pub replicate: u64,
    /// The machines of the replicated log, or the ways to it, fail or are there again.
    pub log: u64,
    /// A process is stopped for some time, or goes on.
    pub pause: u64,
    /// A leader is asked to hand over.
    pub hand_over: u64,
}

impl Plan {
    /// Draws the plan of a run.
    pub fn draw(dice: &mut Dice) -> Self {
        let hold_seconds = match dice.chance(500) {
            true => dice.between(1, 20) as u32,
            false => 0,
        };
        Self {
            requests: dice.between(150, 700),
            users: dice.between(1, 24),
            items: dice.between(1, 24) as u32,
            has_hot_items: dice.chance(400),
            interval_seconds: dice.between(10, 60) as u32,
            limit: dice.between(1, 6) as u32,
            hold_seconds,
            payment_seconds: 0,
            keyed: *dice.pick(&[0, 200, 700]),
            given_up: *dice.pick(&[0, 0, 30]),
            given_back: 0,
            changed: 0,
            restocked: 0,
            cancelled: 0,
            open_max: dice.between(1, 24) as usize,
            segment_bytes: *dice.pick(&[16 << 10, 32 << 10, 64 << 10]),
            keep_ended_seconds: *dice.pick(&[0, 5, 600]),
            trims: dice.chance(500),
            records_refused: dice.chance(300),
            records_openings: false,
            writes_asynchronously: dice.chance(500),
            write_delays: 0,
            sync_us: *dice.pick(&[0, 0, 100, 3000]),
            sinks: match dice.below(4) {
                0 => vec![],
                1 => vec![Kind::Rows],
                2 => vec![Kind::Cache],
                _ => vec![Kind::Rows, Kind::Cache],
            },
            rots: *dice.pick(&[0, 300]),
            weights: Weights::draw(dice),
            pair: None,
        }
    }

    /// Lets buyers give back in half of the runs, administrators change sales in a third, and openings be recorded in half.
    #[must_use]
    pub fn with_orders(mut self, dice: &mut Dice) -> Self {
        self.given_back = *dice.pick(&[0, 0, 60, 200]);
        self.changed = *dice.pick(&[0, 0, 20]);
        self.records_openings = dice.chance(500);
        self
    }

    /// Lets administrators change stocks in a third of the runs, and shops cancel purchases in a third.
    #[must_use]
    pub fn with_stock_changes(mut self, dice: &mut Dice) -> Self {
        self.restocked = *dice.pick(&[0, 0, 60]);
        self.cancelled = *dice.pick(&[0, 0, 80]);
        self
    }

    /// Lets payments take their time in a third of the runs.
    #[must_use]
    pub fn with_payments(mut self, dice: &mut Dice) -> Self {
        if dice.chance(333) {
            self.payment_seconds = dice.between(1, 12) as u32;
        }
        self
    }

    /// Has writes take their time, in half of the runs.
    #[must_use]
    pub fn delayed(mut self, dice: &mut Dice) -> Self {
        self.write_delays = *dice.pick(&[0, 0, 4, 40]);
        self
    }

    /// Makes the plan one of two servers that replicate a log: of every third run. The others stay as they are.
    #[must_use]
    pub fn paired(mut self, dice: &mut Dice) -> Self {
        if !dice.chance(PAIRS) {
            return self;
        }
        self.pair = Some(PairPlan {
            trouble: *dice.pick(&[0, 5, 30, 150]),
            clock_speed: dice.chance(500).then(|| dice.between(500, 2000) as i64),
            restores: dice.chance(600),
        });
        let mut sometimes = |low, high| match dice.chance(600) {
            true => dice.between(low, high),
            false => 0,
        };
        self.weights.log = sometimes(5, 30);
        self.weights.pause = sometimes(2, 12);
        self.weights.hand_over = sometimes(1, 6);
        self.weights.replicate = 400;
        self
    }
}

impl Plan {
    /// Leaves out what `cuts` say.
    #[must_use]
    pub fn cut(mut self, cuts: &Cuts) -> Self {
        self.requests = self.requests.min(cuts.requests.unwrap_or(u64::MAX));
        for (name, weight) in self.weights.optional() {
            if cuts.without.iter().any(|without| without == name) {
                *weight = 0;
            }
        }
        self
    }
}

impl Weights {
    /// Returns the kinds of steps that may be left out, by their names.
    fn optional(&mut self) -> [(&'static str, &mut u64); 11] {
        [
            ("view", &mut self.view),
            ("administer", &mut self.administer),
            ("clock", &mut self.clock),
            ("kill", &mut self.kill),
            ("stop", &mut self.stop),
            ("power", &mut self.power),
            ("disk", &mut self.disk),
            ("sink", &mut self.sink),
            ("log", &mut self.log),
            ("pause", &mut self.pause),
            ("hand_over", &mut self.hand_over),
        ]
    }

    /// The names of the kinds of steps that may be left out.
    pub const OPTIONAL: [&'static str; 11] = [
        "view",
        "administer",
        "clock",
        "kill",
        "stop",
        "power",
        "disk",
        "sink",
        "log",
        "pause",
        "hand_over",
    ];

    fn draw(dice: &mut Dice) -> Self {
        let mut sometimes = |low, high| match dice.chance(500) {
            true => dice.between(low, high),
            false => 0,
        };
        Self {
            request: 600,
            commit: 100,
            prepare: 40,
            schedule: 60,
            time: 120,
            tidy: 20 + sometimes(20, 60),
            load: 30,
            view: sometimes(10, 40),
            administer: sometimes(2, 12),
            clock: sometimes(1, 4),
            kill: sometimes(1, 6),
            stop: sometimes(1, 4),
            power: sometimes(1, 8),
            disk: sometimes(1, 5),
            sink: sometimes(5, 30),
            replicate: 0,
            log: 0,
            pause: 0,
            hand_over: 0,
        }
    }
}
