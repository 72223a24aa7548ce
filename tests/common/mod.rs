//! Helpers that the tests of the engine share: opening one, and writing a state down as text.

use std::path::Path;
use std::sync::Arc;

use flashsale::env::{Disk, ManualClock, SeededEntropy};
use flashsale::journal::{Durability, JournalError, Opening, Options, Tools};
use flashsale::record::{Record, envelope};
use flashsale::sale::{Engine, EngineOptions, Recovered, State, Visit, load_ended};
use flashsale::types::Timestamp;

pub const OPTIONS: Options = Options {
    durability: Durability::Fsync,
    segment_bytes: 256 * 1024,
};

/// The journal's outside world; a failure ends the test.
pub fn tools(clock: &Arc<ManualClock>, seed: u64) -> Tools {
    Tools {
        clock: Arc::clone(clock) as _,
        entropy: Arc::new(SeededEntropy::new(seed)),
        fail_stop: Box::new(|error| panic!("the journal failed: {error}")),
    }
}

/// Recovers the engine in `dir` and starts it.
pub fn open_engine(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    clock: &Arc<ManualClock>,
    seed: u64,
) -> Result<Engine, JournalError> {
    let opening = Opening::lock(Arc::clone(disk), dir)?;
    let recovered = Recovered::from_journal(&opening)?;
    let journal = opening.start(&recovered.replayed, &OPTIONS, tools(clock, seed))?;
    Ok(Engine::new(
        recovered.state,
        Arc::new(journal),
        Arc::clone(clock) as _,
        Arc::new(SeededEntropy::new(!seed)),
        EngineOptions::default(),
    ))
}

/// The state that the journal in `dir` leads to. Nobody may have it open.
pub fn recover(disk: &Arc<dyn Disk>, dir: &Path) -> Result<State, JournalError> {
    let opening = Opening::lock(Arc::clone(disk), dir)?;
    Ok(Recovered::from_journal(&opening)?.state)
}

/// The state as text: equal for equal states.
pub fn dump(state: &State) -> Vec<String> {
    text(&mut |visit| state.visit_records(visit))
}

/// Writes a state down as text, with archived sales from their files: equal wherever the sales are.
pub fn dump_whole(disk: &dyn Disk, dir: &Path, state: &State) -> Vec<String> {
    text(&mut |visit| {
        for ended in state.ended().oldest_first() {
            load_ended(disk, dir, ended)?.visit_records(visit)?;
        }
        let mut sales = state.sales().iter();
        sales.try_for_each(|sale| sale.visit_records(visit))
    })
}

fn text(describe: &mut dyn FnMut(Visit<'_>) -> Result<(), JournalError>) -> Vec<String> {
    let mut texts = Vec::new();
    let mut visit = |at: Option<Timestamp>, record: &Record<'_>| {
        let mut bytes = Vec::new();
        envelope::encode(at.unwrap_or_default(), record, &mut bytes);
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        texts.push(format!("{record:?} {}", digits.collect::<String>()));
        Ok(())
    };
    describe(&mut visit).expect("it can be read");
    texts.sort();
    texts
}
