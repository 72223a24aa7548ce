//! A server of the model: `src/replication/replicator.rs` and `standby.rs` without bytes, disks and clocks.

use super::database::{Answer, Record, Records, Statement, Tables};
use super::model::Hole;

/// A server.
#[derive(Clone, Debug, Default, Hash, PartialEq, Eq)]
pub struct Server {
    /// The epoch that it leads in; `None` for a standby.
    pub leads: Option<u8>,
    /// Its journal.
    pub journal: Records,
    /// The records that it knows to be acknowledged.
    pub acknowledged: usize,
    /// Whether it does not know what became of an append.
    pub is_open: bool,
    /// The statement whose answer it waits for.
    pub asked: Option<Statement>,
}

/// What a server does because of an answer, or because there is none.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that anybody sees.
    Nothing,
    /// It answers the buyers of all records that it knows to be acknowledged.
    Tells,
    /// It tells these buyers that they have bought nothing.
    Refuses(Records),
    /// It finds a log that contradicts its journal.
    Diverges,
}

impl Server {
    /// Decides that `buyer` gets a unit.
    pub fn sell(&mut self, buyer: u8) {
        let epoch = self.leads.expect("only a leader sells");
        self.journal.push(Record { epoch, buyer });
    }

    /// Returns what is due to be asked at a machine that shows `shown`; `None` where it is taken as the answer itself.
    pub fn due(&self, shown: &Tables, hole: Option<Hole>) -> Option<Statement> {
        let Some(epoch) = self.leads else {
            return Some(Statement::Take { seen: shown.epoch });
        };
        if self.is_open {
            return (hole != Some(Hole::NoBarrier)).then_some(Statement::Barrier { epoch });
        }
        let (before, records) = self.journal.split_at(self.acknowledged);
        Some(match records.is_empty() {
            // The sign of life, by which a leader finds that it leads no longer.
            true => Statement::Barrier { epoch },
            false => Statement::Append {
                epoch,
                before: before.into(),
                records: records.into(),
            },
        })
    }

    /// Notes that `statement` is sent.
    pub fn ask(&mut self, statement: Statement) {
        self.is_open |= matches!(statement, Statement::Append { .. });
        self.asked = Some(statement);
    }

    /// Takes what a machine shows for what is acknowledged.
    pub fn trust(&mut self, shown: &Tables) -> Effect {
        match self.leads == Some(shown.epoch) {
            true => self.is_found_at(&shown.log),
            false => self.stand_down(),
        }
    }

    /// Takes the answer to what it asked.
    pub fn hear(&mut self, answer: Answer, hole: Option<Hole>) -> Effect {
        let asked = self.asked.take().expect("it waits");
        if answer.is_warned && hole != Some(Hole::WarningIgnored) {
            return Effect::Nothing;
        }
        match (asked, answer.log) {
            (Statement::Take { seen }, Some(log)) => self.lead(seen + 1, log),
            (
                Statement::Append {
                    before, records, ..
                },
                Some(_),
            ) => self.is_at(before.len() + records.len()),
            (Statement::Barrier { .. }, Some(log)) => self.is_found_at(&log),
            (Statement::Barrier { .. }, None) => self.stand_down(),
            // Somebody else was faster; or the append is there already, or another one leads: a barrier tells.
            (Statement::Take { .. } | Statement::Append { .. }, None) => Effect::Nothing,
        }
    }

    /// Takes over into the journal of a standby what a machine shows to be acknowledged.
    pub fn follow(&mut self, shown: &Tables, hole: Option<Hole>) {
        let until = match hole {
            Some(Hole::FollowsAnything) => shown.log.len(),
            _ => shown.acknowledged,
        };
        let new = shown.log[..until].get(self.journal.len()..);
        self.journal.extend_from_slice(new.unwrap_or_default());
        self.acknowledged = self.journal.len();
    }

    /// Waits no longer.
    pub fn give_up(&mut self, hole: Option<Hole>) -> Effect {
        let is_append = matches!(self.asked.take(), Some(Statement::Append { .. }));
        if !is_append || hole != Some(Hole::TimeoutRefuses) {
            return Effect::Nothing;
        }
        self.is_open = false;
        Effect::Refuses(self.journal.drain(self.acknowledged..).collect())
    }

    /// Starts again as a standby, whose journal is cut off behind what it knows to be acknowledged.
    pub fn restart(&mut self) {
        self.journal.truncate(self.acknowledged);
        *self = Self {
            journal: std::mem::take(&mut self.journal),
            acknowledged: self.acknowledged,
            ..Self::default()
        };
    }

    fn stand_down(&mut self) -> Effect {
        self.restart();
        Effect::Nothing
    }

    fn lead(&mut self, epoch: u8, log: Records) -> Effect {
        if !log.starts_with(&self.journal) {
            return Effect::Diverges;
        }
        self.leads = Some(epoch);
        self.acknowledged = log.len();
        self.journal = log;
        Effect::Nothing
    }

    fn is_found_at(&mut self, log: &Records) -> Effect {
        if log.len() < self.acknowledged || !self.journal.starts_with(log) {
            self.restart();
            return Effect::Diverges;
        }
        self.is_at(log.len())
    }

    fn is_at(&mut self, acknowledged: usize) -> Effect {
        self.is_open = false;
        self.acknowledged = acknowledged;
        Effect::Tells
    }
}
