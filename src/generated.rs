//! The items of a generated catalogue: their names and pictures follow from a seed, so that they take
//! no room in memory or journal, and whoever knows the seed can write them down again.

use std::io::Write;

use crate::env::splitmix64;
use crate::types::ItemIndex;

const ADJECTIVES: [&str; 32] = [
    "Amber", "Arctic", "Bold", "Brass", "Bright", "Calm", "Carbon", "Cedar", "Copper", "Coral",
    "Crimson", "Dusky", "Early", "Ember", "Fleet", "Frosted", "Gentle", "Golden", "Hidden",
    "Indigo", "Ivory", "Jade", "Lunar", "Misty", "Noble", "Opal", "Quiet", "Rapid", "Silver",
    "Sunlit", "Velvet", "Wild",
];
const NOUNS: [&str; 32] = [
    "Anvil",
    "Backpack",
    "Beacon",
    "Blanket",
    "Camera",
    "Chair",
    "Clock",
    "Compass",
    "Drone",
    "Easel",
    "Flask",
    "Guitar",
    "Hammock",
    "Headphones",
    "Jacket",
    "Kettle",
    "Keyboard",
    "Lamp",
    "Lantern",
    "Loom",
    "Mirror",
    "Notebook",
    "Printer",
    "Radio",
    "Scooter",
    "Skillet",
    "Sneakers",
    "Speaker",
    "Teapot",
    "Telescope",
    "Tent",
    "Watch",
];

/// Bits that belong to one item of a generated catalogue.
fn drawn(seed: u64, index: ItemIndex) -> u64 {
    let mut state = seed ^ u64::from(index.0).wrapping_mul(0xd6e8_feb8_6659_fd93);
    splitmix64(&mut state)
}

/// Appends an item's name.
pub fn write_name(seed: u64, index: ItemIndex, out: &mut Vec<u8>) {
    let bits = drawn(seed, index) as usize;
    out.extend_from_slice(ADJECTIVES[bits % ADJECTIVES.len()].as_bytes());
    out.push(b' ');
    out.extend_from_slice(NOUNS[(bits / ADJECTIVES.len()) % NOUNS.len()].as_bytes());
    out.push(b' ');
    out.extend_from_slice(itoa::Buffer::new().format(index.0 + 1).as_bytes());
}

/// Appends the address of an item's picture.
pub fn write_image_url(seed: u64, index: ItemIndex, out: &mut Vec<u8>) {
    let _ = write!(out, "/images/{:016x}.svg", drawn(seed, index));
}
