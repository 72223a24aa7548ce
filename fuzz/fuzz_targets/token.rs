#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flashsale_fuzz::token::take(bytes));
