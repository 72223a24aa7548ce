//! The faults of disk and clocks.

use std::sync::Arc;

use flashsale::env::{ManualClock, SimulatedDisk};
use flashsale::types::Timestamp;

use crate::dice::Dice;
use crate::plan::Plan;

/// Lets the disk fail, or be full for some time. Returns what it does.
pub fn disturb_disk(disk: &SimulatedDisk, dice: &mut Dice, plan: &Plan) -> &'static str {
    match dice.below(6) {
        0 => {
            disk.fail_sync_after(dice.below(30));
            "a sync will fail"
        }
        1 => {
            disk.fail_write_after(dice.below(30));
            "a write will fail"
        }
        2 => {
            disk.cut_next_write_short();
            "a write will be cut short"
        }
        3 => {
            disk.fail_syncs_for_room(true);
            "a sync finds no room"
        }
        _ => {
            // As much as there is, and perhaps one segment.
            let used = used_bytes(disk);
            disk.set_capacity_bytes(Some(used + dice.below(2 * plan.segment_bytes)));
            "the disk is full"
        }
    }
}

/// Ends the want of room.
pub fn make_room(disk: &SimulatedDisk) {
    disk.set_capacity_bytes(None);
    disk.fail_syncs_for_room(false);
}

fn used_bytes(disk: &SimulatedDisk) -> u64 {
    let paths = disk.paths();
    let lengths = paths.iter().filter_map(|path| disk.contents(path));
    lengths.map(|contents| contents.len() as u64).sum()
}

/// Lets the wall clock jump, or the machine sleep: at once, or in the middle of the next sync. Returns what happens.
pub fn disturb_clock(
    clock: &Arc<ManualClock>,
    disk: &SimulatedDisk,
    dice: &mut Dice,
    now: Timestamp,
) -> &'static str {
    let micros = dice.between(1, 90) as i64 * 1_000_000;
    match dice.below(4) {
        0 => {
            clock.jump_to(Timestamp(now.0 + micros));
            "the wall clock jumps ahead"
        }
        1 => {
            clock.jump_to(Timestamp(now.0 - micros));
            "the wall clock jumps back"
        }
        2 => {
            clock.sleep_us(micros);
            "the machine sleeps"
        }
        _ => {
            disk.sleep_in_next_sync(Arc::clone(clock), micros);
            "the machine will sleep in a sync"
        }
    }
}
