//! The model: its states, the steps between them, and the properties of every state.

use smallvec::SmallVec;
use stateright::{Model, Property};

use crate::database::{Answered, Database, Record, Statement};
use crate::server::{Effect, Server};

/// The units on sale; there are as many places for records.
const UNITS: usize = 2;

/// A guard of the protocol that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hole {
    /// A commit waits for any one of the standbys, as with `ANY 1 (n2, n3)`.
    AnyStandby,
    /// An unknown outcome is looked up without a barrier.
    NoBarrier,
    /// A cancelled wait counts as an acknowledgement, as it does without its warning.
    WarningIgnored,
    /// An append without an answer counts as not done: its units are sold again, and its buyers told so.
    TimeoutRefuses,
    /// An append does not compare the epoch.
    EpochNotCompared,
    /// An append does not compare the end of the log.
    PlaceNotCompared,
    /// A standby takes records into its journal that may not be acknowledged.
    FollowsAnything,
}

/// The model, with its bounds.
pub struct ReplicatedLog {
    /// The standbys of PostgreSQL.
    pub standbys: usize,
    /// The guard that is left out.
    pub hole: Option<Hole>,
    /// The last epoch that a server takes.
    pub epochs_max: u8,
    /// The buyers who come.
    pub buyers_max: u8,
    /// The statements that may be late at one time.
    pub late_max: usize,
}

/// A statement that is on its way to a machine, and whose answer nobody waits for any more.
#[derive(Clone, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
struct Message {
    machine: usize,
    statement: Statement,
}

/// A state of everything.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct State {
    database: Database,
    servers: [Server; 2],
    late: SmallVec<[Message; 2]>,
    /// The buyers who have come so far.
    buyers: u8,
    /// The latest epoch that a server has led in.
    epoch: u8,
    /// The buyers who were told that they have bought, with the place of their records.
    told: SmallVec<[(usize, Record); 4]>,
    /// The records whose buyers were told that they have not.
    refused: SmallVec<[Record; 4]>,
    has_diverged: bool,
}

/// A step of one server or one machine, which are named by their numbers: one that takes no step is paused. An answer arrives in the step that makes it, because a
/// server that it reaches later does what a paused one does; a statement whose server still waits arrives in the step that sends it, for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A leader sells a unit.
    Sell(usize),
    /// A server sends the statement that is due, and a machine executes it.
    Ask(usize, usize),
    /// A server sends the statement that is due to a machine, and gives up before it arrives. It may arrive later.
    AskInVain(usize, usize),
    /// A server gives up waiting: its time is up, the connection is lost, or the answer is.
    GiveUp(usize),
    /// A standby reads the log at a machine.
    Follow(usize, usize),
    /// A server is killed and starts again.
    Restart(usize),
    /// A late statement arrives.
    Arrive(usize),
    /// A standby of PostgreSQL receives a change.
    Receive(usize),
    /// A commit of a machine is answered, because the standbys that it waits for have everything.
    Acknowledge(usize),
    /// The wait of a commit for its standbys is cancelled. It is answered with a warning.
    Cancel(usize),
    /// A machine restarts while a commit waits for its standbys. The commit stays, and is not answered.
    RestartMachine(usize),
    /// A standby of PostgreSQL is made the primary. The primary before it goes on.
    Promote(usize),
    /// A machine starts to follow the latest primary.
    Join(usize),
}

/// Holds while nothing that was acknowledged is missing where the sale goes on.
pub const NOTHING_LOST: &str = "the last leader has everything that was told";
const NOTHING_TWICE: &str = "no unit is sold to two buyers";
/// Holds while nobody is charged for what was refused.
pub const REFUSED_FOR_GOOD: &str = "who was refused has bought nothing";
/// Holds while the journals of all servers and the log are one order of records.
pub const ONE_WRITER: &str = "no server finds a log that contradicts its journal";
const SELLS: &str = "a buyer is told";
const SELLS_ON: &str = "another leader sells on";
const ZOMBIES: &str = "two machines take changes while two servers think they lead";

impl State {
    /// Returns the leader of the latest epoch, while it leads.
    fn last_leader(&self) -> Option<&Server> {
        let mut servers = self.servers.iter();
        servers.find(|server| server.leads == Some(self.epoch))
    }

    fn deliver(&mut self, answered: Answered, hole: Option<Hole>) {
        if let Some((server, answer)) = answered {
            let effect = self.servers[server].hear(answer, hole);
            self.take_effect(server, effect);
        }
    }

    fn give_up(&mut self, server: usize, hole: Option<Hole>) {
        self.database.leave(server);
        let effect = self.servers[server].give_up(hole);
        self.take_effect(server, effect);
    }

    /// The connections to `machine` are lost.
    fn hang_up(&mut self, machine: usize, hole: Option<Hole>) {
        if let Some((server, _)) = self.database.end_wait(machine, true) {
            self.give_up(server, hole);
        }
    }

    fn take_effect(&mut self, server: usize, effect: Effect) {
        self.epoch = self.epoch.max(self.servers[server].leads.unwrap_or(0));
        match effect {
            Effect::Nothing => {}
            Effect::Tells => {
                let Server {
                    journal,
                    acknowledged,
                    ..
                } = &self.servers[server];
                self.told
                    .extend(journal[..*acknowledged].iter().copied().enumerate());
                self.told.sort_unstable();
                self.told.dedup();
            }
            Effect::Refuses(records) => self.refused.extend(records),
            Effect::Diverges => self.has_diverged = true,
        }
    }
}

impl ReplicatedLog {
    fn server_steps(&self, state: &State, server: usize, steps: &mut Vec<Step>) {
        let Server {
            leads,
            journal,
            asked,
            ..
        } = &state.servers[server];
        if leads.is_some() {
            if journal.len() < UNITS && state.buyers < self.buyers_max {
                steps.push(Step::Sell(server));
            }
            steps.push(Step::Restart(server));
        }
        if asked.is_some() {
            steps.push(Step::GiveUp(server));
            return;
        }
        let database = &state.database;
        for machine in database
            .numbers()
            .filter(|&number| database.is_free(number))
        {
            if leads.is_none() {
                steps.push(Step::Follow(server, machine));
            }
            if leads.is_some() || database.peek(machine).epoch < self.epochs_max {
                steps.push(Step::Ask(server, machine));
                if state.late.len() < self.late_max {
                    steps.push(Step::AskInVain(server, machine));
                }
            }
        }
    }

    fn machine_steps(&self, database: &Database, machine: usize, steps: &mut Vec<Step>) {
        if database.is_waiting(machine) {
            if database.is_replicated(machine, self.hole) {
                steps.push(Step::Acknowledge(machine));
            }
            steps.push(Step::Cancel(machine));
            steps.push(Step::RestartMachine(machine));
        }
        if database.can_receive(machine) {
            steps.push(Step::Receive(machine));
        }
        if database.can_be_promoted(machine, self.hole) {
            steps.push(Step::Promote(machine));
        }
        if database.can_join(machine) {
            steps.push(Step::Join(machine));
        }
    }

    fn ask(&self, state: &mut State, server: usize, machine: usize, is_late: bool) {
        let shown = state.database.peek(machine);
        let Some(statement) = state.servers[server].due(&shown, self.hole) else {
            let effect = state.servers[server].trust(&shown);
            return state.take_effect(server, effect);
        };
        state.servers[server].ask(statement.clone());
        if !is_late {
            let answered = state
                .database
                .execute(machine, Some(server), &statement, self.hole);
            return state.deliver(answered, self.hole);
        }
        state.give_up(server, self.hole);
        // A sign of life that comes late changes nothing.
        if !matches!(statement, Statement::Barrier { .. }) {
            state.late.push(Message { machine, statement });
            state.late.sort_unstable();
        }
    }
}

impl Model for ReplicatedLog {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let leader = Server {
            leads: Some(1),
            ..Server::default()
        };
        vec![State {
            database: Database::new(self.standbys),
            servers: [leader, Server::default()],
            late: SmallVec::new(),
            buyers: 0,
            epoch: 1,
            told: SmallVec::new(),
            refused: SmallVec::new(),
            has_diverged: false,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for server in 0..state.servers.len() {
            self.server_steps(state, server, steps);
        }
        let arrives = |&index: &usize| state.database.is_free(state.late[index].machine);
        steps.extend((0..state.late.len()).filter(arrives).map(Step::Arrive));
        for machine in state.database.numbers() {
            self.machine_steps(&state.database, machine, steps);
        }
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        match step {
            Step::Sell(server) => {
                state.buyers += 1;
                state.servers[server].sell(state.buyers);
            }
            Step::Ask(server, machine) => self.ask(&mut state, server, machine, false),
            Step::AskInVain(server, machine) => self.ask(&mut state, server, machine, true),
            Step::GiveUp(server) => state.give_up(server, self.hole),
            Step::Follow(server, machine) => {
                let shown = state.database.peek(machine);
                state.servers[server].follow(&shown, self.hole);
            }
            Step::Restart(server) => {
                state.database.leave(server);
                state.servers[server].restart();
            }
            Step::Arrive(index) => {
                let Message { machine, statement } = state.late.remove(index);
                let answered = state.database.execute(machine, None, &statement, self.hole);
                state.deliver(answered, self.hole);
            }
            Step::Receive(machine) => state.database.receive(machine),
            Step::Acknowledge(machine) => {
                let answered = state.database.end_wait(machine, false);
                state.deliver(answered, self.hole);
            }
            Step::Cancel(machine) => {
                let answered = state.database.end_wait(machine, true);
                state.deliver(answered, self.hole);
            }
            Step::RestartMachine(machine) => state.hang_up(machine, self.hole),
            Step::Promote(machine) => state.database.promote(machine),
            Step::Join(machine) => {
                state.hang_up(machine, self.hole);
                state.database.join(machine);
            }
        }
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NOTHING_LOST, |_, state: &State| {
                state.last_leader().is_none_or(|leader| {
                    let has = |(place, record): &(usize, Record)| {
                        leader.journal.get(*place) == Some(record)
                    };
                    state.told.iter().all(has)
                })
            }),
            Property::always(NOTHING_TWICE, |_, state: &State| {
                state.told.windows(2).all(|two| two[0].0 != two[1].0)
            }),
            Property::always(REFUSED_FOR_GOOD, |_, state: &State| {
                let is_refused = |record: &Record| state.refused.contains(record);
                let folded = state.last_leader().map(|leader| &leader.journal);
                !folded.into_iter().flatten().any(is_refused)
                    && !state.told.iter().any(|(_, record)| is_refused(record))
            }),
            Property::always(ONE_WRITER, |_, state: &State| !state.has_diverged),
            Property::sometimes(SELLS, |_, state: &State| !state.told.is_empty()),
            Property::sometimes(SELLS_ON, |_, state: &State| {
                let epochs = || state.told.iter().map(|(_, record)| record.epoch);
                epochs().any(|epoch| epoch == 1) && epochs().any(|epoch| epoch > 1)
            }),
            Property::sometimes(ZOMBIES, |_, state: &State| {
                let database = &state.database;
                database
                    .numbers()
                    .any(|machine| database.is_zombie(machine))
                    && state.servers.iter().all(|server| server.leads.is_some())
            }),
        ]
    }
}
