//! Figures of memory and descriptors, compared with what this process does.

use std::fs::File;
use std::hint::black_box;

use flashsale::env::{AllocatorFigures, ProcessFigures};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Memory that is allocated and freed, in bytes.
const BLOCK_BYTES: usize = 64 << 20;
/// Descriptors to open: as many connections as the largest sale had, where the system lets us.
const DESCRIPTORS: u64 = 20_000;
/// What tests beside this one may open at the same time, and what the runtime has open.
const OTHERS: u64 = 100;

/// Tests of one process must not both allocate, and look at what that does.
#[test]
fn memory_and_descriptors_are_as_the_process_uses_them() {
    memory_is_counted_when_it_is_used_and_when_it_is_given_back();
    every_descriptor_is_counted();
}

fn memory_is_counted_when_it_is_used_and_when_it_is_given_back() {
    let look = || (ProcessFigures::read(), AllocatorFigures::read());
    let (process_before, before) = look();
    // In blocks as requests make them, every page of them written.
    let blocks: Vec<Vec<u8>> = (0..BLOCK_BYTES / 16_384).map(|_| vec![1; 16_384]).collect();
    black_box(&blocks);
    let (process_with, with) = look();
    drop(blocks);
    let (_, after) = look();

    let most = BLOCK_BYTES as u64 * 9 / 10;
    let grown = process_with.resident_bytes - process_before.resident_bytes;
    assert!(grown >= most, "{process_before:?}, {process_with:?}");
    assert!(
        with.committed_bytes >= before.committed_bytes + most,
        "{before:?}, {with:?}"
    );
    assert!(with.committed_bytes <= process_with.virtual_bytes);
    assert!(process_with.peak_resident_bytes >= process_with.resident_bytes);
    assert!(with.peak_committed_bytes >= with.committed_bytes);
    // What was freed may be kept for a while; the peak stays.
    assert!(after.committed_bytes <= with.peak_committed_bytes);
    assert!(after.peak_committed_bytes >= with.peak_committed_bytes);
}

fn every_descriptor_is_counted() {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(DESCRIPTORS * 2);
    let raised = Rlimit {
        current: Some(hard.min(DESCRIPTORS + OTHERS)),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).expect("up to the hard limit");
    let count = DESCRIPTORS.min(hard - OTHERS);

    let before = ProcessFigures::read();
    let null = File::open("/dev/null").expect("/dev/null");
    let files: Vec<File> = (1..count)
        .map(|_| null.try_clone().expect("a descriptor"))
        .collect();
    let with = ProcessFigures::read();
    assert!(
        with.open_fds >= before.open_fds + count,
        "{count}: {with:?}"
    );
    assert!(
        with.open_fds <= before.open_fds + count + OTHERS,
        "{with:?}"
    );
    assert_eq!(with.max_fds, raised.current);
    drop(files);
    assert!(ProcessFigures::read().open_fds <= before.open_fds + 1 + OTHERS);
}
