//! A million pending timers: ours beside what else could keep them, on the same work.
//!
//! Time moves on in steps. In every turn as many timers are armed as leave, half of those because they
//! are cancelled and half because they expire, and each of the three is timed for itself.

mod common;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};
use flashsale::types::Timestamp;
use flashsale::wheel::{TimerKey, Wheel};
use hierarchical_hash_wheel_timer::IdOnlyTimerEntry;
use hierarchical_hash_wheel_timer::wheels::Skip;
use hierarchical_hash_wheel_timer::wheels::cancellable::QuadWheelWithOverflow;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;
use tokio::task::unconstrained;
use tokio_util::time::{DelayQueue, delay_queue};

/// How far ahead a hold's end is.
const HOLD_MS: u64 = 120_000;

/// Holds are made in the order of time, and do not end in it quite.
const JITTER_MS: u64 = 1000;

/// How often somebody looks for what is due.
const STEP_MS: u64 = 10;

/// Timers that are pending when a turn begins.
const PENDING: usize = 1_000_000;

/// Timers that are armed in a turn.
const TURN: usize = 10_000;

/// Turns of a sample, whatever number of timers it is asked for. Some turns refile much and others
/// little; so many last for a tenth of a hold.
const TURNS: usize = 25;

/// A contender. Times are milliseconds since the contender was made, and values are numbers of
/// timers that are unique among the pending ones.
trait Timers {
    type Key: Copy;

    fn arm(&mut self, at_ms: u64, value: u32) -> Self::Key;

    fn cancel(&mut self, key: Self::Key);

    /// Moves time on, and gives out the timers that are due by then.
    fn expire(&mut self, now_ms: u64, fired: &mut Vec<u32>);
}

impl Timers for Wheel<u32> {
    type Key = TimerKey;

    fn arm(&mut self, at_ms: u64, value: u32) -> TimerKey {
        Wheel::arm(self, timestamp(at_ms), value)
    }

    fn cancel(&mut self, key: TimerKey) {
        Wheel::cancel(self, key).expect("it is pending");
    }

    fn expire(&mut self, now_ms: u64, fired: &mut Vec<u32>) {
        while let Some((_, value)) = self.pop_due(timestamp(now_ms)) {
            fired.push(value);
        }
    }
}

fn timestamp(ms: u64) -> Timestamp {
    Timestamp(ms as i64 * 1000)
}

/// The plain way. Its key is the timer's place in the order.
impl Timers for BTreeMap<(u64, u32), ()> {
    type Key = (u64, u32);

    fn arm(&mut self, at_ms: u64, value: u32) -> (u64, u32) {
        self.insert((at_ms, value), ());
        (at_ms, value)
    }

    fn cancel(&mut self, key: (u64, u32)) {
        self.remove(&key).expect("it is pending");
    }

    fn expire(&mut self, now_ms: u64, fired: &mut Vec<u32>) {
        while let Some(first) = self.first_entry().filter(|first| first.key().0 <= now_ms) {
            fired.push(first.remove_entry().0.1);
        }
    }
}

/// tokio's own wheel, in a runtime whose clock stands still until it is moved.
struct TokioQueue<'a> {
    queue: DelayQueue<u32>,
    runtime: &'a Runtime,
    made: tokio::time::Instant,
    now_ms: u64,
}

impl<'a> TokioQueue<'a> {
    /// `runtime` has been entered.
    fn new(runtime: &'a Runtime) -> Self {
        Self {
            queue: DelayQueue::new(),
            runtime,
            made: tokio::time::Instant::now(),
            now_ms: 0,
        }
    }
}

impl Timers for TokioQueue<'_> {
    type Key = delay_queue::Key;

    fn arm(&mut self, at_ms: u64, value: u32) -> delay_queue::Key {
        let at = self.made + Duration::from_millis(at_ms);
        self.queue.insert_at(value, at)
    }

    fn cancel(&mut self, key: delay_queue::Key) {
        self.queue.remove(&key);
    }

    fn expire(&mut self, now_ms: u64, fired: &mut Vec<u32>) {
        let by = Duration::from_millis(now_ms - self.now_ms);
        self.now_ms = now_ms;
        let queue = &mut self.queue;
        // Without a budget, that would have a task come again for the rest.
        self.runtime.block_on(unconstrained(async {
            tokio::time::advance(by).await;
            poll_fn(|context| {
                while let Poll::Ready(Some(expired)) = queue.poll_expired(context) {
                    fired.push(expired.into_inner());
                }
                Poll::Ready(())
            })
            .await;
        }));
    }
}

/// A kept crate whose clock is its caller. It finds a timer to cancel by its number in a hash map.
struct HashWheel {
    wheel: QuadWheelWithOverflow<IdOnlyTimerEntry<u32>>,
    now_ms: u64,
}

impl Timers for HashWheel {
    type Key = u32;

    fn arm(&mut self, at_ms: u64, value: u32) -> u32 {
        let delay = Duration::from_millis(at_ms - self.now_ms);
        let entry = Rc::new(IdOnlyTimerEntry { id: value, delay });
        let armed = self.wheel.insert_ref_with_delay(entry, delay);
        armed.expect("it is not due yet");
        value
    }

    fn cancel(&mut self, key: u32) {
        self.wheel.cancel(&key).expect("it is pending");
    }

    fn expire(&mut self, now_ms: u64, fired: &mut Vec<u32>) {
        while self.now_ms < now_ms {
            let left = now_ms - self.now_ms;
            let skipped = match self.wheel.can_skip() {
                Skip::None => 0,
                Skip::Millis(ms) => left.min(ms.into()),
                Skip::Empty => left,
            };
            self.wheel.skip(skipped as u32);
            self.now_ms += skipped;
            if skipped < left {
                fired.extend(self.wheel.tick().iter().map(|entry| entry.id));
                self.now_ms += 1;
            }
        }
    }
}

/// How deadlines lie ahead.
#[derive(Clone, Copy)]
enum Spread {
    /// A fixed time ahead, with some jitter.
    Holds,
    /// Anywhere in that time.
    Uniform,
}

/// A contender with its pending timers.
struct Crowd<T: Timers> {
    timers: T,
    spread: Spread,
    /// By the timer's number.
    keys: Vec<Option<T::Key>>,
    free: Vec<u32>,
    now_ms: u64,
    random: u64,
}

/// The timed parts of a turn.
const PARTS: [&str; 3] = ["arm", "cancel", "expire"];

/// How long some timers took, and how many they were.
type Stretch = (Duration, usize);

impl<T: Timers> Crowd<T> {
    fn new(timers: T, spread: Spread) -> Self {
        let pending = if is_measuring() { PENDING } else { TURN };
        let mut crowd = Self {
            timers,
            spread,
            keys: vec![None; pending + TURN],
            free: (0..(pending + TURN) as u32).rev().collect(),
            now_ms: 0,
            random: 1,
        };
        for number in 0..pending as u64 {
            let at_ms = match spread {
                Spread::Holds => number * HOLD_MS / pending as u64 + crowd.below(JITTER_MS),
                Spread::Uniform => crowd.below(HOLD_MS),
            };
            crowd.arm(at_ms + 1);
        }
        crowd
    }

    /// How far ahead the next deadline is.
    fn ahead_ms(&mut self) -> u64 {
        match self.spread {
            Spread::Holds => HOLD_MS + self.below(JITTER_MS),
            Spread::Uniform => 1 + self.below(HOLD_MS),
        }
    }

    /// A number that is less than `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound
    }

    fn arm(&mut self, at_ms: u64) {
        let number = self.free.pop().expect("as many leave as come");
        self.keys[number as usize] = Some(self.timers.arm(at_ms, number));
    }

    /// In the order of [`PARTS`].
    fn turn(&mut self) -> [Stretch; 3] {
        [self.arm_some(), self.cancel_some(), self.expire_some()]
    }

    fn arm_some(&mut self) -> Stretch {
        let ats: Vec<u64> = (0..self.free.len())
            .map(|_| self.now_ms + self.ahead_ms())
            .collect();
        let started = cpu_time();
        for &at_ms in &ats {
            self.arm(at_ms);
        }
        (cpu_time() - started, ats.len())
    }

    fn cancel_some(&mut self) -> Stretch {
        let mut keys = Vec::new();
        while keys.len() < TURN / 2 {
            let number = self.below(self.keys.len() as u64) as usize;
            if let Some(key) = self.keys[number].take() {
                keys.push(key);
                self.free.push(number as u32);
            }
        }
        let started = cpu_time();
        for &key in &keys {
            self.timers.cancel(key);
        }
        (cpu_time() - started, keys.len())
    }

    fn expire_some(&mut self) -> Stretch {
        let mut fired = Vec::with_capacity(TURN);
        let started = cpu_time();
        while fired.len() < TURN / 2 {
            self.now_ms += STEP_MS;
            self.timers.expire(self.now_ms, &mut fired);
        }
        let time = cpu_time() - started;
        for &number in &fired {
            self.keys[number as usize] = None;
        }
        self.free.extend(&fired);
        (time, fired.len())
    }

    /// What one part of the turns takes for so many timers.
    fn measure(&mut self, part: usize, timers: u64) -> Duration {
        let turns = if is_measuring() { TURNS } else { 1 };
        let (mut time, mut count) = (Duration::ZERO, 0);
        for _ in 0..turns {
            let (part_time, part_count) = self.turn()[part];
            time += part_time;
            count += part_count;
        }
        time.mul_f64(timers as f64 / count as f64)
    }
}

/// What this thread has had of the processor: who else uses the machine is not in the figures.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Whether times matter; otherwise it is only seen whether the bench works.
fn is_measuring() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn contender<T: Timers>(group: &mut Group, name: &str, spread: Spread, new: impl Fn() -> T) {
    let mut crowd = None;
    for (part, part_name) in PARTS.iter().enumerate() {
        group.bench_function(BenchmarkId::new(*part_name, name), |b| {
            b.iter_custom(|timers| {
                let crowd = crowd.get_or_insert_with(|| Crowd::new(new(), spread));
                crowd.measure(part, timers)
            });
        });
    }
}

fn contenders(criterion: &mut Criterion, name: &str, spread: Spread, runtime: &Runtime) {
    let mut group = criterion.benchmark_group(format!("wheel/{name}"));
    group.throughput(Throughput::Elements(1));
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    contender(&mut group, "ours", spread, || Wheel::new(timestamp(0)));
    contender(&mut group, "ordered_map", spread, BTreeMap::new);
    contender(&mut group, "tokio", spread, || TokioQueue::new(runtime));
    contender(&mut group, "hash_wheel", spread, || HashWheel {
        wheel: QuadWheelWithOverflow::new(),
        now_ms: 0,
    });
    group.finish();
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let _entered = runtime.enter();
    let mut criterion = common::criterion();
    contenders(&mut criterion, "holds", Spread::Holds, &runtime);
    contenders(&mut criterion, "uniform", Spread::Uniform, &runtime);
    criterion.final_summary();
}
