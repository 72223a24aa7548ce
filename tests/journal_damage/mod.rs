//! What disks and people do to a journal: cut and flipped bytes, power cuts, failing and full disks.
//! Whatever was confirmed is found again, or the damage is named; nothing is dropped in silence.

mod bytes;
mod ended;
mod faults;
mod fixture;
mod housekeeping;
mod mending;
mod power;
mod reading;
mod shortage;
mod snapshots;
mod undecodable;
mod worker;
