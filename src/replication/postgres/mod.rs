//! PostgreSQL with synchronous replication as the keeper of the log.
//!
//! A commit that waits for a named standby is on two machines when it is answered. Three things can make an answer look like that which is not:
//! a wait that was cancelled (a warning, and success), a list of standbys that was emptied meanwhile, and a primary that came back and shows commits
//! that it never replicated. So an answer with a notice is no answer, the settings are read again behind every statement, and nothing that was read
//! counts without an acknowledged change behind it.

mod log;
mod session;
mod settings;
mod survey;

pub use log::PostgresLog;
pub use session::{Dial, DialFuture, Dialled};
pub use settings::{Settings, required_standbys};
pub use survey::{ConnectedStandby, LogSurvey};
