//! Redis as a sink: what the follower asks for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::batch::RedisBatch;
use super::discovery::Node;
use super::keys::SaleKeys;
use super::link::{Link, ProjectionState};
use super::node_watch::NodeWatch;
use super::options::RedisOptions;
use super::script::ScriptCall;
use super::wire::{Known, RedisPosition, Resolved, SaleKind};
use crate::env::Entropy;
use crate::limits;
use crate::reconcile::{CatchUpProgress, RecordSource, Sink, SinkError, Watermark};
use crate::types::{Lsn, SaleId, Timestamp};

/// Keeps the projection in a Redis server.
pub struct RedisSink {
    pub(super) options: RedisOptions,
    pub(super) entropy: Arc<dyn Entropy>,
    link: Option<Link>,
    /// Of a node that had to be found.
    watch: Option<NodeWatch>,
    /// Of open sales; what is not here is asked for.
    known: BTreeMap<SaleId, Known>,
    /// Before which batch something was missing last.
    lost: Option<Watermark>,
    broken: Option<Broken>,
}

/// A call that ended half way.
struct Broken {
    /// The last record that it would have written. Behind that, nothing is wrong any more.
    until: Lsn,
    /// Whether that was so before, with the projection filled again in between.
    again: bool,
    /// What Redis said.
    why: String,
}

impl RedisSink {
    /// A sink that is not connected yet. `entropy` draws tokens that keep two who fill one projection
    /// apart.
    #[must_use]
    pub fn new(options: RedisOptions, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            options,
            entropy,
            link: None,
            watch: None,
            known: BTreeMap::new(),
            lost: None,
            broken: None,
        }
    }

    pub(super) fn link(&mut self) -> Result<&mut Link, SinkError> {
        let closed = || SinkError::Unavailable("not connected".into());
        self.link.as_mut().ok_or_else(closed)
    }

    /// Ends when another node than the one that the link leads to has the keys.
    fn moved(&self) -> impl Future<Output = SinkError> + use<> {
        let moved = self.watch.as_ref().map(NodeWatch::moved);
        async {
            match moved {
                Some(moved) => moved.await,
                None => std::future::pending().await,
            }
        }
    }

    /// What was known of the sales may be another's.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// Applies a batch where the projection is at `from`, and brings it to `to`.
    pub(super) async fn apply_at(
        &mut self,
        batch: &RedisBatch,
        from: RedisPosition<'_>,
        to: RedisPosition<'_>,
    ) -> Result<(), SinkError> {
        self.get_to_know(batch).await?;
        let mut resolved = Resolved {
            known: self.known.clone(),
            ids: announced_ids(batch),
            batch,
        };
        self.look_up_ids(&mut resolved).await?;
        let write = |command: &mut redis::Cmd| resolved.write(from, to, command);
        let answer = self.link()?.call(ScriptCall::Apply, &write).await?;
        for (sale, changes) in &batch.sales {
            if changes.closed.is_some() {
                self.known.remove(sale);
            }
        }
        match answer.first().map(String::as_str) {
            Some("ok") => {
                self.broken
                    .take_if(|broken| broken.until < to.watermark.lsn);
                Ok(())
            }
            Some("broke") => {
                let why = answer.into_iter().nth(1).unwrap_or_default();
                Err(self.break_off(why, from.watermark, to.watermark))
            }
            Some("lost") => {
                let key = answer.get(1).map_or("a key", String::as_str);
                Err(self.lose(key, from.watermark))
            }
            _ => Err(SinkError::Refused("its functions are not ours".into())),
        }
    }

    /// Something that earlier calls have written is not there. The call has marked the projection, so
    /// that whoever asks for the watermark finds nothing.
    fn lose(&mut self, key: &str, before: Watermark) -> SinkError {
        tracing::error!(
            "redis: {key} or what belongs to it is missing; the projection is not whole"
        );
        if self.lost.replace(before) == Some(before) {
            // Filling it again has not helped, and would not the next time.
            return SinkError::Refused(format!(
                "what belongs to {key} is missing whenever it is filled"
            ));
        }
        SinkError::Moved
    }

    /// A call has ended half way, and its mark is left. Once, filling the projection again may help.
    fn break_off(&mut self, why: String, from: Watermark, to: Watermark) -> SinkError {
        let before = self.broken.take();
        let before = before.filter(|broken| from.lsn <= broken.until);
        let until = before
            .as_ref()
            .map_or(to.lsn, |broken| broken.until.max(to.lsn));
        let error = SinkError::Unavailable(format!("a change was cut off half way: {why}"));
        self.broken = Some(Broken {
            until,
            again: before.is_some(),
            why,
        });
        error
    }

    /// Whether there is sense in filling a projection again that was found as `state`.
    pub(super) fn check_is_of_use(&self, state: &ProjectionState) -> Result<(), SinkError> {
        let broken = self.broken.as_ref();
        match broken.filter(|broken| broken.again && state.writing.is_some()) {
            None => Ok(()),
            Some(Broken { until, why, .. }) => Err(SinkError::Refused(format!(
                "what comes up to record {until} is cut off half way whenever it is filled: {why}. Once \
                 that is mended, `flashsale rebuild redis --yes`"
            ))),
        }
    }

    /// Finds out of which kind the sales are that change.
    async fn get_to_know(&mut self, batch: &RedisBatch) -> Result<(), SinkError> {
        for (&sale, changes) in &batch.sales {
            if let Some(terms) = &changes.created {
                let known = Known {
                    kind: Some(terms.catalogue.into()),
                    ended_at: Some(terms.ended_at),
                };
                self.known.insert(sale, known);
            }
            if !changes.need_a_sale() || self.known.contains_key(&sale) {
                continue;
            }
            let mut command = redis::cmd("HMGET");
            command
                .arg(SaleKeys::of(sale).terms)
                .arg("kind")
                .arg("ended_at");
            let (kind, ended_at): (Option<String>, Option<String>) =
                self.link()?.run(&command).await?;
            if let (Some(kind), Some(ended_at)) = (kind, ended_at) {
                let known = Known {
                    kind: SaleKind::parse(&kind),
                    ended_at: parse_time(&ended_at),
                };
                self.known.insert(sale, known);
            }
        }
        for (sale, changes) in &batch.sales {
            if let (Some(ended_at), Some(known)) = (changes.ended_at, self.known.get_mut(sale)) {
                known.ended_at = Some(ended_at);
            }
        }
        Ok(())
    }

    /// Finds the ids of listed items that are sold, or whose stock changes. They never change once a sale is there.
    async fn look_up_ids(&mut self, resolved: &mut Resolved<'_>) -> Result<(), SinkError> {
        for (&sale, changes) in &resolved.batch.sales {
            let known = resolved.known.get(&sale);
            if known.is_none_or(|known| known.kind != Some(SaleKind::Listed)) {
                continue;
            }
            let named = changes.lines.keys().chain(changes.stocks.keys()).copied();
            let unknown: Vec<u32> = named
                .filter(|&item| !resolved.ids.contains_key(&(sale, item)))
                .collect();
            if unknown.is_empty() {
                continue;
            }
            let mut command = redis::cmd("HMGET");
            command.arg(SaleKeys::of(sale).items).arg(&unknown);
            let ids: Vec<Option<String>> = self.link()?.run(&command).await?;
            let found = unknown.into_iter().zip(ids);
            let found = found.filter_map(|(item, id)| Some(((sale, item), id?)));
            resolved.ids.extend(found);
        }
        Ok(())
    }
}

/// The ids that the batch itself brings.
fn announced_ids(batch: &RedisBatch) -> BTreeMap<(SaleId, u32), String> {
    let mut ids = BTreeMap::new();
    for (&sale, changes) in &batch.sales {
        let Some(announced) = &changes.announced else {
            continue;
        };
        for (index, (id, _)) in (announced.first..).zip(&announced.items) {
            if changes.names(index) {
                ids.insert((sale, index), id.clone());
            }
        }
    }
    ids
}

/// A time as the projection spells it.
pub(super) fn parse_time(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp(time.as_microsecond()))
}

/// What `work` comes to, unless the keys are `moved` before it has ended.
async fn unless<T>(
    moved: impl Future<Output = SinkError>,
    work: impl Future<Output = Result<T, SinkError>>,
) -> Result<T, SinkError> {
    tokio::select! {
        biased;
        error = moved => Err(error),
        ended = work => ended,
    }
}

impl Sink for RedisSink {
    type Batch = RedisBatch;

    fn name(&self) -> &'static str {
        "Redis"
    }

    fn address(&self) -> String {
        let configured = self.options.address();
        match self.link.as_ref().and_then(Link::node) {
            Some(node) => format!("{} ({configured})", node.address),
            None => configured,
        }
    }

    fn remedy(&self) -> &'static str {
        ". `flashsale rebuild redis --yes` empties it, and the server fills it again"
    }

    fn pace(&self) -> Duration {
        Duration::from_millis(limits::REDIS_PACE_MS)
    }

    async fn open(&mut self) -> Result<Watermark, SinkError> {
        self.link = None;
        self.watch = None;
        self.forget();
        let mut link = Link::open(&self.options).await?;
        link.prepare().await?;
        link.warn_of_eviction().await;
        let watermark = link.state().await?.trusted();
        let watch = |node: &Node| NodeWatch::start(self.options.clone(), node.clone());
        self.watch = link.node().map(watch);
        self.link = Some(link);
        Ok(watermark)
    }

    async fn watermark(&mut self) -> Result<Watermark, SinkError> {
        let moved = self.moved();
        let state = unless(moved, self.link()?.state()).await?;
        Ok(state.trusted())
    }

    async fn audit(&mut self, found: Watermark) -> Result<Watermark, SinkError> {
        let moved = self.moved();
        unless(moved, self.check_sums(found)).await
    }

    async fn start_over(
        &mut self,
        source: &RecordSource,
        found: Watermark,
        held: Lsn,
        progress: &mut CatchUpProgress,
    ) -> Result<Watermark, SinkError> {
        let moved = self.moved();
        unless(moved, self.rebuild(source, found, held, progress)).await
    }

    fn batch(&self) -> RedisBatch {
        RedisBatch::with_events()
    }

    async fn apply(
        &mut self,
        batch: RedisBatch,
        from: Watermark,
        to: Watermark,
    ) -> Result<(), SinkError> {
        let [from, to] = [from, to].map(|watermark| RedisPosition {
            watermark,
            token: "",
        });
        let moved = self.moved();
        unless(moved, self.apply_at(&batch, from, to)).await
    }
}
