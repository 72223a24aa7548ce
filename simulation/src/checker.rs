//! The last look: what is written, what is in memory, and what is in the databases must be the same story.

use std::path::Path;
use std::sync::Arc;

use flashsale::env::{Disk, SimulatedDisk};
use flashsale::journal::{JournalError, Opening};
use flashsale::record::{Record, envelope};
use flashsale::sale::{
    CheckoutState, EndedSale, Engine, Recovered, Sale, State, Visit, load_ended,
};
use flashsale::types::{Lsn, Timestamp};

use crate::answers;
use crate::history::History;
use crate::ledger::{End, Ledger, Sale as Ledgered};
use crate::server::DIR;
use crate::sink::Database;
use crate::tape::Tape;

/// The databases that follow a journal.
pub struct Followers<'a> {
    /// All of them.
    pub all: &'a [Database],
    /// The first record that the journal still holds.
    pub first: Lsn,
}

/// Checks the whole of a run. Everything has ended, and is durable. `runs_evenly` says that the wall clock never jumped, and that
/// nobody closed a sale before its time.
///
/// # Errors
/// Says what does not agree.
pub fn check(
    tape: &Tape,
    history: &History,
    databases: &Followers<'_>,
    engine: &Engine,
    runs_evenly: bool,
) -> Result<(), String> {
    let (ledger, tables) = tape.fold()?;
    figures(engine, &ledger)?;
    history.with(|events| answers::check(events, &ledger, runs_evenly))?;
    for database in databases.all {
        if let Some(contradiction) = database.contradiction() {
            return Err(format!(
                "a database was given what cannot be: {contradiction}"
            ));
        }
        let last = database.last();
        let is_stuck = database.is_stuck(databases.first);
        if last != tape.last() && !is_stuck {
            return Err(format!(
                "a database ends at {last}, and the journal at {}",
                tape.last()
            ));
        }
        let expected = match is_stuck {
            true => &tape.tables(last)?,
            false => &tables,
        };
        if database.tables() != *expected {
            return Err("a database is not the fold over the journal".into());
        }
    }
    Ok(())
}

/// Checks what memory says of each sale.
///
/// # Errors
/// It is not what is written.
pub fn figures(engine: &Engine, ledger: &Ledger) -> Result<(), String> {
    for sale in engine.sales() {
        let written = &ledger.sales.get(&sale.id());
        let written = written.ok_or_else(|| format!("sale {} is not written", sale.id()))?;
        sale.check_conserved()?;
        if (sale.is_paused(), sale.ends_at()) != (written.is_paused, written.terms.ended_at) {
            return Err(format!(
                "sale {}: memory has another state or end than is written",
                sale.id()
            ));
        }
        let (total, shown) = (written.total(), sale.figures().total);
        if total != shown {
            return Err(format!(
                "sale {}: {total} units are there, and memory says {shown}",
                sale.id()
            ));
        }
        let (sold, shown) = (written.sold.iter().sum::<u64>(), sale.figures().sold);
        if sold != shown {
            return Err(format!(
                "sale {}: {sold} are sold, and memory says {shown}",
                sale.id()
            ));
        }
    }
    for ended in engine.ended().oldest_first() {
        let written = ledger.sales.get(&ended.id);
        let sold = written.map(|sale| sale.sold.iter().sum::<u64>());
        if written.map(Ledgered::total) != Some(ended.total) {
            return Err(format!(
                "sale {}: memory says that there are {} units",
                ended.id, ended.total
            ));
        }
        if sold != Some(ended.sold) {
            return Err(format!(
                "sale {}: {sold:?} are sold, and memory says {}",
                ended.id, ended.sold
            ));
        }
    }
    expired_lines(engine, ledger)
}

/// Checks that what was in a checkout that has expired is known until its sale is closed: to a payment that comes late, and to support.
///
/// # Errors
/// Something else is known.
pub fn expired_lines(engine: &Engine, ledger: &Ledger) -> Result<(), String> {
    for ((id, secret), checkout) in &ledger.checkouts {
        let is_kept = !ledger.sales[id].is_closed() && matches!(checkout.end, Some(End::Expired));
        let Some(sale) = engine.sale(*id).filter(|_| is_kept) else {
            continue;
        };
        let lines = match sale.checkout_view(*secret).map(|view| view.state) {
            Some(CheckoutState::Expired { lines, .. }) => lines,
            other => {
                let user = &checkout.user;
                return Err(format!(
                    "a checkout of {user} has expired, and memory has {other:?}"
                ));
            }
        };
        let known = lines.iter().map(|&(item, units)| (item.0, units));
        if !known.eq(checkout.lines.iter().copied()) {
            return Err(format!(
                "a checkout of {} had {:?} when it expired, and memory knows {lines:?}",
                checkout.user, checkout.lines
            ));
        }
    }
    Ok(())
}

/// Checks that a start on `disk` leads to the state that `engine` has.
///
/// # Errors
/// The journal cannot be read, or leads to another state.
pub fn recovers(engine: &Engine, disk: &SimulatedDisk) -> Result<(), String> {
    let live = State::of_engine(engine);
    let copy = disk.after_kill();
    let shared: Arc<dyn Disk> = Arc::new(copy.clone());
    let opening = Opening::lock(shared, Path::new(DIR)).map_err(|error| error.to_string())?;
    let recovered = Recovered::from_journal(&opening).map_err(|error| error.to_string())?;
    let other = &recovered.state;
    let ours = dump(disk, &live, other).map_err(|error| error.to_string())?;
    let theirs = dump(&copy, other, &live).map_err(|error| error.to_string())?;
    match ours == theirs {
        true => Ok(()),
        false => Err("what a start finds is not what memory has".into()),
    }
}

/// Returns the records of a state, ended sales included, but for those that `other` has ended as well: equal for states that
/// are equal.
///
/// # Errors
/// The file of an ended sale cannot be read.
pub fn dump(
    disk: &SimulatedDisk,
    state: &State,
    other: &State,
) -> Result<Vec<Vec<u8>>, JournalError> {
    let mut all = Vec::new();
    let is_different = |ended: &&EndedSale| other.ended().get(ended.id) != Some(*ended);
    for ended in state.ended().oldest_first().filter(is_different) {
        all.extend(records(&*load_ended(disk, Path::new(DIR), ended)?)?);
    }
    for sale in state.sales() {
        all.extend(records(sale)?);
    }
    all.sort();
    Ok(all)
}

/// Returns the records that lead to `sale`.
///
/// # Errors
/// None that is known.
pub fn records(sale: &Sale) -> Result<Vec<Vec<u8>>, JournalError> {
    let mut all = Vec::new();
    let mut note = |at: Option<Timestamp>, record: &Record<'_>| {
        let mut bytes = Vec::new();
        envelope::encode(at.unwrap_or_default(), record, &mut bytes);
        all.push(bytes);
        Ok(())
    };
    sale.visit_records(&mut note as Visit<'_>)?;
    Ok(all)
}
