//! The replicated log: what outlives the machine.
//!
//! Besides the local disk, every record goes into a log that an existing engine keeps on several machines ([`ReplicatedLog`]). Who may append
//! there leads and sells ([`Replicator`]); others follow it into their own journals ([`Standby`]), and take over when the leader gives no sign.
//! A start first finds where its journal and the log agree ([`join`]); from then on the server is a [`Participant`], which is given one turn
//! after the other.
//!
//! **Invariants.** A record may be told when it is durable here and acknowledged by the log: the journal's [outbox](crate::journal::Outbox) alone
//! decides that. Who leads is decided by a compare-and-swap in the log, never by a clock: clocks say only when to try. An outcome that is not
//! known is found out by a barrier before anything else is done. Nothing is cut off a journal but what is behind its [`Mark`] and not in the log.

mod complaints;
pub mod etcd;
mod log;
mod mark;
mod mark_keeper;
mod participant;
mod position;
pub mod postgres;
mod replicator;
mod rewind;
mod simulated_log;
mod standby;
mod status;
#[cfg(test)]
mod takeover_tests;
#[cfg(test)]
mod tests;

pub use complaints::Complaints;
pub use log::{
    Appended, Epoch, Head, LeaderProgress, LogEpoch, LogError, LogIdentity, ReplicatedLog,
};
pub use mark::Mark;
pub use participant::{Demand, Participant, RestartCause};
pub use position::{Chain, FrameError, LogFrame, Position};
pub use replicator::{Deposed, Leadership, Replicator, Turn};
pub use rewind::{JoinError, Joined, check_fit, join};
pub use simulated_log::{LogOutcome, SimulatedLog};
pub use standby::{Fold, Standby, StandbyError, StandbyParts};
pub use status::{ReplicationFigures, ReplicationStatus, Role, now_us};
