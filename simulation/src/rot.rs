//! Bits that flip in files while no process runs: a start is refused and names the file, or leads to what it would have led
//! to without.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flashsale::env::{Disk, SimulatedDisk};
use flashsale::journal::{JournalError, Opening};
use flashsale::sale::{Recovered, load_ended};
use flashsale::types::Lsn;

use crate::checker::{dump, records};
use crate::dice::Dice;
use crate::server::DIR;
use crate::tape::Tape;

/// Draws a bit of a file on `disk`, flips it in a copy, and checks what comes of a start there. Returns what did; `None`
/// where there is nothing to flip, or no start would succeed anyway. Every record up to `acknowledged` was acknowledged.
///
/// # Errors
/// The start serves something wrong, or is refused without naming the file.
pub fn check(
    disk: &SimulatedDisk,
    dice: &mut Dice,
    tape: &Tape,
    acknowledged: Lsn,
) -> Result<Option<&'static str>, String> {
    let Some((path, bit)) = draw(disk, dice) else {
        return Ok(None);
    };
    let sound = disk.after_kill();
    let Ok(expected) = recover(&sound) else {
        return Ok(None);
    };
    let rotten = disk.after_kill();
    rotten.flip_bit(&path, bit);
    let outcome = judge(&path, &sound, &expected, &rotten, tape, acknowledged);
    let outcome =
        outcome.map_err(|wrong| format!("bit {bit} of {} flips: {wrong}", path.display()));
    outcome.map(Some)
}

/// Draws a file, and a bit of it: mostly one of those that were written, which are at the beginning.
fn draw(disk: &SimulatedDisk, dice: &mut Dice) -> Option<(PathBuf, u64)> {
    let paths = disk.paths();
    if paths.is_empty() {
        return None;
    }
    let path = dice.pick(&paths);
    let bytes = disk.contents(path)?;
    let written = bytes.iter().rposition(|byte| *byte != 0)? as u64 + 1;
    let until = match dice.chance(800) {
        true => written,
        false => bytes.len() as u64,
    };
    Some((path.clone(), dice.below(until * 8)))
}

fn recover(disk: &SimulatedDisk) -> Result<Recovered, JournalError> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    Recovered::from_journal(&Opening::lock(shared, Path::new(DIR))?)
}

fn judge(
    path: &Path,
    sound: &SimulatedDisk,
    expected: &Recovered,
    rotten: &SimulatedDisk,
    tape: &Tape,
    acknowledged: Lsn,
) -> Result<&'static str, String> {
    let found = match recover(rotten) {
        Ok(found) => found,
        Err(error) => return named(path, &error).map(|()| "a flipped bit: a start is refused"),
    };
    let last = found.replayed.last_lsn;
    if last < acknowledged {
        return Err(format!(
            "record {acknowledged} was acknowledged, and the journal ends at {last}"
        ));
    }
    // Where a batch that was never acknowledged is cut off, there is nothing to compare with.
    if last == expected.replayed.last_lsn {
        // Sales that both have ended are compared below.
        let ours = dump(sound, &expected.state, &found.state).map_err(|error| error.to_string())?;
        match dump(rotten, &found.state, &expected.state) {
            Ok(theirs) if theirs == ours => {}
            Ok(_) => return Err("a start leads to another state".into()),
            Err(error) => return named(path, &error).map(|()| "a flipped bit: found by a reader"),
        }
    }
    for ended in found.state.ended().oldest_first() {
        if ended.file().path(Path::new(DIR)) != path {
            continue;
        }
        let load = |disk| load_ended(disk, Path::new(DIR), ended).and_then(|sale| records(&sale));
        match load(rotten) {
            Err(error) => return named(path, &error).map(|()| "a flipped bit: found by a reader"),
            Ok(theirs) if theirs != load(sound).map_err(|error| error.to_string())? => {
                return Err(format!("sale {} is another one", ended.id));
            }
            Ok(_) => {}
        }
    }
    match tape.compare(
        rotten,
        Path::new(DIR),
        last.min(tape.last()).min(acknowledged),
    )? {
        Ok(()) => Ok("a flipped bit: nothing rests on it"),
        Err(error) => named(path, &error).map(|()| "a flipped bit: found by a reader"),
    }
}

/// Checks that the error is damage, and names the file.
fn named(path: &Path, error: &JournalError) -> Result<(), String> {
    match error {
        JournalError::Damaged { path: named, .. } if named == path => Ok(()),
        other => Err(format!("what is told is: {other}")),
    }
}
