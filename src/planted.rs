//! Slips of the kind that a tired engineer makes, planted to see that the simulation finds each of them. Without the
//! feature `planted` none can be switched on, and nothing of this is compiled.

/// Declares the slips, with what each one does.
macro_rules! slips {
    ($($(#[doc = $what:literal])+ $slip:ident)*) => {
        /// A slip.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Slip { $($(#[doc = $what])+ $slip,)* }

        impl Slip {
            /// All slips.
            pub const ALL: &'static [Self] = &[$(Self::$slip),*];

            /// Returns what the slip does.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self { $(Self::$slip => concat!($($what),+).trim_ascii()),* }
            }
        }
    };
}

slips! {
    /// A batch is published before it is written.
    PublishesBeforeSync
    /// A write or a sync that failed counts as done.
    IgnoresFailedSync
    /// A batch that finds no room is forgotten, and the next one written.
    DropsBatchWithoutRoom
    /// The name of a new segment is not made durable.
    SkipsDirectorySync
    /// A new segment gets its name before its bytes are durable.
    RenamesBeforeSync
    /// A snapshot, or the file of an ended sale, gets its name before its bytes are durable.
    SkipsSnapshotSync
    /// The checksum of a batch is not compared.
    SkipsChecksum
    /// A start leaves out the last record of each batch.
    DropsLastOfBatch
    /// A worker is woken only where it waits for the last record of a batch.
    LosesWakeUps
    /// Segments are removed that a follower still needs.
    TrimsUnfollowed
    /// An ended sale leaves memory without its file.
    PutsAwayWithoutFile
    /// The units of a hold that ran out do not come back.
    ForgetsUnitsOfExpired
    /// The units of a hold that ran out come back twice.
    ReleasesHoldTwice
    /// The units of an item that is given back come back twice.
    ReleasesLineTwice
    /// A code that was given back is called unknown before that is durable.
    ForgetsCodeBeforeDurable
    /// A payment that is under way reserves its units again.
    ReservesAgain
    /// A payment is answered as if it were the one that purchased the checkout before.
    ForgivesAnotherPayment
    /// A payment that comes late gives a user more than the limit.
    LateBeyondLimit
    /// A sale is closed while payments are under way.
    ClosesWithPayments
    /// A start forgets what was in a checkout that has expired.
    ForgetsExpiredLines
    /// A start forgets that a payment is under way.
    ForgetsPayments
    /// A sale that is paused takes checkouts.
    IgnoresPause
    /// "Sold out" is told by the record of the first purchase also when units have come back and are sold again.
    KeepsSoldOut
    /// Units are added to a stock before that is recorded.
    RestocksBeforeRecord
    /// A change of a stock that comes again with its reference is made again.
    RestocksTwice
    /// Units that are cancelled count twice less towards the limit of their user.
    ReturnsQuotaTwice
    /// Units that are cancelled are free before that is recorded.
    FreesBeforeRecord
    /// Units that are cancelled and not restocked are free again.
    FreesWithoutRestock
    /// A cancellation that comes again with its reference is made again.
    CancelsTwice
    /// A start forgets what was cancelled.
    ForgetsCancelled
    /// A start forgets what was changed of stocks.
    ForgetsStockChanges
    /// A checkout is taken before the opening of its sale is recorded.
    SellsBeforeOpening
    /// A purchase at the very end of a sale is taken.
    SellsAtTheEnd
    /// A purchase in the last two seconds of a sale is refused.
    EndsSalesEarly
    /// A used code with another key is answered as if the key were the first one.
    ForgivesAnotherKey
    /// A user may have one unit more than the limit.
    ForgetsOneOfLimit
    /// A user may have one unit less than the limit.
    KeepsOneOfLimit
    /// A user may have more units of an item than its own limit, as long as each checkout has not.
    ForgetsBoughtOfItem
    /// An item that others hold counts as sold out.
    CallsHeldSoldOut
    /// "Sold out" is told before its purchase is durable.
    SoldOutBeforeDurable
    /// A key's answer is given again before its record is durable.
    RepeatsBeforeDurable
    /// A start forgets the keys of checkouts.
    ForgetsKeys
    /// A start forgets which checkouts have expired.
    ForgetsExpired
    /// A start forgets that a sale is paused.
    ForgetsPause
    /// A start forgets that the opening of a sale is recorded.
    ForgetsOpening
    /// A start forgets what was given back.
    ForgetsReleased
    /// Units in one of the shards are not gathered.
    GathersTooFewShards
    /// The closing of a sale leaves holds as they are.
    ClosesWithHolds
    /// An answer does not wait for its record.
    AnswersBeforeDurable
    /// A sink applies a batch wherever its watermark is.
    ForgetsFence
    /// A follower reads records that are not durable.
    FollowsUnwritten
    /// An append counts as done when its answer is lost or carries a warning.
    AcknowledgesOpenAppends
    /// A leader goes on from what it sees of the log instead of from a barrier.
    TrustsWhatItSees
    /// A record is told before the log has it.
    TellsBeforeReplicated
    /// A start keeps what the log does not have.
    KeepsUnreplicatedTail
    /// An old leader goes on appending in the time of the new one.
    IgnoresEpoch
    /// Two requests of a client at the same moment count as one towards its limit.
    CountsArrivalsApart
    /// A log is used whatever the settings of its database are.
    IgnoresLogSettings
    /// The mark names a record that the log has, and this disk does not yet.
    MarksBeforeDurable
    /// A follower reads records that are on this disk, and perhaps not in the log.
    FollowsUnacknowledged
    /// A snapshot is written of records that are on this disk, and perhaps not in the log.
    SnapshotsUnacknowledged
    /// A standby takes whatever it sees in the log, acknowledged or not.
    TakesUnacknowledged
    /// A standby follows to the sinks.
    StandbyFollows
    /// A takeover does not read to the end of the log.
    LeadsBehindLog
    /// A new leader gives new sales the numbers that it knew at its start.
    KeepsFollowing
    /// A leader answers for however long it has not heard from the log.
    TellsStale
    /// A leader that finds another one in its place goes on.
    GoesOnFenced
    /// The leadership is handed over before what is under way is in the log.
    OffersAtOnce
    /// A user token whose time is over is taken.
    SkipsTokenExpiry
    /// A user token says with which algorithm its key is used.
    TrustsTokenAlgorithm
    /// A checkout is anybody's who has its code, whoever they prove to be.
    ForgetsOwners
    /// The limit that a user's token brings along is not looked at.
    IgnoresOwnLimit
}

#[cfg(feature = "planted")]
mod switch {
    use std::cell::Cell;
    use std::sync::LazyLock;

    use super::Slip;

    /// The variable that names a slip for all threads of a process.
    const VARIABLE: &str = "FLASHSALE_PLANTED";

    thread_local!(static PLANTED: Cell<Option<Slip>> = const { Cell::new(None) });
    static PLANTED_EVERYWHERE: LazyLock<Option<Slip>> = LazyLock::new(named);

    fn named() -> Option<Slip> {
        let name = std::env::var(VARIABLE).ok()?;
        let slip = Slip::ALL.iter().find(|slip| format!("{slip:?}") == name);
        Some(*slip.unwrap_or_else(|| panic!("{VARIABLE}: there is no slip {name}")))
    }

    /// Plants one slip on the calling thread, or none.
    pub fn plant(slip: Option<Slip>) {
        PLANTED.set(slip);
    }

    /// Returns whether `slip` is planted, here or by the variable `FLASHSALE_PLANTED`.
    #[must_use]
    pub fn is_planted(slip: Slip) -> bool {
        PLANTED.get() == Some(slip) || *PLANTED_EVERYWHERE == Some(slip)
    }
}

#[cfg(feature = "planted")]
pub use switch::{is_planted, plant};

/// Returns whether `slip` is planted, which it never is without the feature.
#[cfg(not(feature = "planted"))]
#[must_use]
#[inline(always)]
pub const fn is_planted(_slip: Slip) -> bool {
    false
}
