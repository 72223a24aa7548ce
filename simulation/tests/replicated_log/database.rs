//! The machines of a PostgreSQL with synchronous replication, as far as a replicated log on them can tell.

use smallvec::SmallVec;

use super::model::Hole;

/// A record: the sale of one unit.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// The leader's epoch in which it was decided.
    pub epoch: u8,
    /// The buyer, of whom each buys once.
    pub buyer: u8,
}

/// Records in order: the place of each is the unit that it sells.
pub type Records = SmallVec<[Record; 4]>;

/// A change that a machine has written to its WAL.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
enum Change {
    Take,
    Append {
        records: Records,
        acknowledged: usize,
    },
}

/// The tables of the log, as a WAL leads to them.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// The epoch of the leader.
    pub epoch: u8,
    /// All records.
    pub log: Records,
    /// The records that their leader knew to be acknowledged when it wrote this.
    pub acknowledged: usize,
}

/// A statement of a server.
#[derive(Clone, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub enum Statement {
    /// Takes the leadership over from the leader of the epoch `seen`.
    Take { seen: u8 },
    /// Appends `records` behind `before`, which stands for its number of records and its hash.
    Append {
        epoch: u8,
        before: Records,
        records: Records,
    },
    /// Changes a row of the epoch, so that its acknowledgement covers everything before it.
    Barrier { epoch: u8 },
}

/// The answer to a statement.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The log behind the statement; `None` where it found no row.
    pub log: Option<Records>,
    /// Whether the server said that the wait for its standbys was cancelled.
    pub is_warned: bool,
}

/// A commit that waits for the standbys. Until it ends, nobody else sees it, and the row is locked.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Waiting {
    /// The server that waits for the answer, if it still does.
    server: Option<usize>,
    log: Records,
}

/// A machine with its database.
#[derive(Clone, Debug, Default, Hash, PartialEq, Eq)]
struct Machine {
    wal: SmallVec<[Change; 6]>,
    /// The primary that this standby follows; `None` for who takes changes itself.
    follows: Option<usize>,
    waiting: Option<Waiting>,
}

/// All machines.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct Database {
    machines: SmallVec<[Machine; 3]>,
    /// The machine that was made the primary last.
    latest: usize,
}

/// An answer, and who waits for it.
pub type Answered = Option<(usize, Answer)>;

impl Database {
    /// Creates a primary with `standbys` standbys. The log is led in epoch 1.
    pub fn new(standbys: usize) -> Self {
        let machine = |number| Machine {
            wal: [Change::Take].into_iter().collect(),
            follows: (number > 0).then_some(0),
            waiting: None,
        };
        Self {
            machines: (0..=standbys).map(machine).collect(),
            latest: 0,
        }
    }

    /// Returns the machines.
    pub fn numbers(&self) -> std::ops::Range<usize> {
        0..self.machines.len()
    }

    /// Returns whether `number` takes changes although another one was made the primary since.
    pub fn is_zombie(&self, number: usize) -> bool {
        self.machines[number].follows.is_none() && number != self.latest
    }

    /// Returns whether a statement at `number` can begin.
    pub fn is_free(&self, number: usize) -> bool {
        self.machines[number].follows.is_none() && !self.is_waiting(number)
    }

    /// Returns whether a commit of `number` waits for standbys.
    pub fn is_waiting(&self, number: usize) -> bool {
        self.machines[number].waiting.is_some()
    }

    /// Returns what a `SELECT` shows at `number`, which is free.
    pub fn peek(&self, number: usize) -> Tables {
        tables(&self.machines[number].wal)
    }

    /// Executes `statement` of `server` at `number`, which is free. Returns the answer where there is nothing to wait for.
    pub fn execute(
        &mut self,
        number: usize,
        server: Option<usize>,
        statement: &Statement,
        hole: Option<Hole>,
    ) -> Answered {
        let machine = &mut self.machines[number];
        let Some((log, change)) = change(tables(&machine.wal), statement, hole) else {
            // Without a commit there is nothing that anybody waits for.
            let answer = Answer {
                log: None,
                is_warned: false,
            };
            return server.map(|server| (server, answer));
        };
        machine.wal.extend(change);
        machine.waiting = Some(Waiting { server, log });
        None
    }

    /// Forgets that `server` waits for an answer.
    pub fn leave(&mut self, server: usize) {
        for machine in &mut self.machines {
            if let Some(waiting) = &mut machine.waiting {
                waiting.server = waiting.server.filter(|&who| who != server);
            }
        }
    }

    /// Returns whether the standby `number` can receive a change.
    pub fn can_receive(&self, number: usize) -> bool {
        self.next_change(number).is_some()
    }

    /// Brings the next change to the standby `number`.
    pub fn receive(&mut self, number: usize) {
        let change = self.next_change(number).cloned();
        self.machines[number].wal.extend(change);
    }

    fn next_change(&self, number: usize) -> Option<&Change> {
        let machine = &self.machines[number];
        let primary = &self.machines[machine.follows?];
        let next = primary.wal.get(machine.wal.len())?;
        let fits = primary.follows.is_none() && primary.wal.starts_with(&machine.wal);
        fits.then_some(next)
    }

    /// Returns whether the standbys that `number` must wait for have everything.
    pub fn is_replicated(&self, number: usize, hole: Option<Hole>) -> bool {
        let wal = &self.machines[number].wal;
        let mut others = self.numbers().filter(|&other| other != number);
        let has_it = |other: usize| {
            let other = &self.machines[other];
            other.follows == Some(number) && other.wal == *wal
        };
        match hole {
            Some(Hole::AnyStandby) => others.any(has_it),
            _ => others.all(has_it),
        }
    }

    /// Ends the wait of `number`, because it is over or was cancelled. Everybody sees the commit from now on.
    pub fn end_wait(&mut self, number: usize, is_warned: bool) -> Answered {
        let waiting = self.machines[number].waiting.take()?;
        let answer = Answer {
            log: Some(waiting.log),
            is_warned,
        };
        waiting.server.map(|server| (server, answer))
    }

    /// Returns whether the standby `number` may be made the primary.
    pub fn can_be_promoted(&self, number: usize, hole: Option<Hole>) -> bool {
        let follows_latest = |other: usize| self.machines[other].follows == Some(self.latest);
        let length = |other: usize| self.machines[other].wal.len();
        // Where any of them could have answered, the one that has most is taken.
        let mut others = self.numbers().filter(|&other| follows_latest(other));
        let is_ahead =
            hole != Some(Hole::AnyStandby) || others.all(|other| length(other) <= length(number));
        follows_latest(number) && is_ahead
    }

    /// Makes the standby `number` the primary. The one before goes on, and knows nothing of it.
    pub fn promote(&mut self, number: usize) {
        self.machines[number].follows = None;
        self.latest = number;
    }

    /// Returns whether `number` may follow the latest primary and does not yet.
    pub fn can_join(&self, number: usize) -> bool {
        number != self.latest && self.machines[number].follows != Some(self.latest)
    }

    /// Rewinds `number`, of which nobody waits for an answer, to what it has in common with the latest primary, which it follows from now on.
    pub fn join(&mut self, number: usize) {
        let latest = &self.machines[self.latest].wal;
        let pairs = self.machines[number].wal.iter().zip(latest);
        let common = pairs.take_while(|(own, other)| own == other).count();
        let machine = &mut self.machines[number];
        machine.wal.truncate(common);
        machine.follows = Some(self.latest);
    }
}

fn tables(wal: &[Change]) -> Tables {
    let mut tables = Tables::default();
    for change in wal {
        match change {
            Change::Take => tables.epoch += 1,
            Change::Append {
                records,
                acknowledged,
            } => {
                tables.log.extend_from_slice(records);
                tables.acknowledged = *acknowledged;
            }
        }
    }
    tables
}

/// Returns the log behind `statement` and the change that it makes; `None` where it finds no row.
fn change(
    tables: Tables,
    statement: &Statement,
    hole: Option<Hole>,
) -> Option<(Records, Option<Change>)> {
    let Tables { epoch, mut log, .. } = tables;
    let (is_found, change) = match statement {
        Statement::Take { seen } => (epoch == *seen, Some(Change::Take)),
        Statement::Barrier { epoch: own } => (epoch == *own, None),
        Statement::Append {
            epoch: own,
            before,
            records,
        } => {
            let is_own = epoch == *own || hole == Some(Hole::EpochNotCompared);
            let follows = log == *before || hole == Some(Hole::PlaceNotCompared);
            log.extend_from_slice(records);
            let change = Change::Append {
                records: records.clone(),
                acknowledged: before.len(),
            };
            (is_own && follows, Some(change))
        }
    };
    is_found.then_some((log, change))
}
